"use strict";
require("./app.cjs").main();
