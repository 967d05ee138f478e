/** Stops the server that global-setup.js started, if it did. */
module.exports = async function globalTeardown() {
  await globalThis.beamlineTestTemporal?.stop();
};
