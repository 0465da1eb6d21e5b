// Starts an application, named by its first argument, as it is.
const { main } = await import(new URL(process.argv[2], import.meta.url));
await main();
