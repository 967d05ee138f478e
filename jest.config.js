/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  // The CEL library, jose and the reader of features are published as ES modules only; OpenTelemetry's exporter imports while it runs.
  transformIgnorePatterns: [
    '/node_modules/(?!(@marcbachmann/cel-js|@cucumber|jose|@opentelemetry/otlp-exporter-base)/)',
    '<rootDir>/dist/',
  ],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  globalSetup: '<rootDir>/test/helpers/global-setup.js',
  globalTeardown: '<rootDir>/test/helpers/global-teardown.js',
  reporters: ['default', '<rootDir>/test/helpers/closing-line-reporter.js'],
  testSequencer: '<rootDir>/test/helpers/longest-first.js',
  testTimeout: 30_000,
  // One more than there are cores: most suites wait for others (timeouts, heartbeats, processes) half of the time.
  maxWorkers: 3,
  // Tests of one suite that run at once (test.concurrent): each has processes of its own.
  maxConcurrency: 3,
  // What a suite with a Temporal worker leaves behind, about 100 MB, makes all that come after it slower: begin afresh.
  workerIdleMemoryLimit: '500MB',
};
