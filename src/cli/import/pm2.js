// Prints what a configuration of pm2 exports, as JSON. What the configuration itself prints goes to standard error.
const { pathToFileURL } = require('node:url');

const file = process.argv[1];
const answer = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

import(pathToFileURL(file).href)
  .then((module) => module.default ?? module)
  .then((config) => answer(JSON.stringify(config) ?? 'null', () => process.exit(0)))
  .catch((error) => {
    const line = parseInt(String(error?.stack).split(`${file}:`)[1], 10) || '';
    process.stderr.write(`\0${line}\0${error}\n`, () => process.exit(1));
  });
