// Prints the files that a require loads.
require(process.argv[2]);
console.log(JSON.stringify(Object.keys(require.cache)));
