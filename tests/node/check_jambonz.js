// Arrays of jambonz verbs, one a line on stdin, are checked by both published validators: one line each with what
// they say. The one catches wrong values, the other unknown properties; neither is enough.
const readline = require('node:readline');
const schema = require('@jambonz/schema');
const specifications = require('@jambonz/verb-specifications');

const silent = {info() {}, debug() {}, error() {}, warn() {}};

function faults(line) {
  const found = [];
  for (const [name, validate] of [['schema', schema.validate], ['specifications', specifications.validate]]) {
    try {
      validate(silent, JSON.parse(line));
    } catch (error) {
      found.push(`${name}: ${error.message}`);
    }
  }
  return found;
}

readline.createInterface({input: process.stdin}).on('line', (line) => {
  console.log(JSON.stringify(faults(line)));
});
