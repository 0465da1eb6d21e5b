// Prints the URLs of the files that a require loads.
const { pathToFileURL } = require("node:url");

require(process.argv[2]);
console.log(JSON.stringify(Object.keys(require.cache).map((path) => pathToFileURL(path))));
