/** What one attempt of a step uses, added up while it runs. */
export class StepMeter {
  cpuMs = 0;
  /** Of the process of its own that runs the block; 0 where it has none. */
  peakMemoryBytes = 0;
  bytesIn = 0;
  bytesOut = 0;
}
