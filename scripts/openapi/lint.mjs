// Checks a description of an API by Redocly's linter, with all that it recommends: node lint.mjs FILE.
import {createConfig, formatProblems, lint} from '@redocly/openapi-core';

const config = await createConfig({extends: ['recommended-strict']});
const problems = await lint({ref: process.argv[2], config});
if (problems.length > 0) {
  formatProblems(problems, {format: 'codeframe', totals: {errors: problems.length, warnings: 0, ignored: 0}, version: ''});
  process.exit(1);
}
