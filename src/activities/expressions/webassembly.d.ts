/** The part of WebAssembly's JavaScript API that is used here; TypeScript has it only with the whole of the DOM. */
declare namespace WebAssembly {
  class Module {
    private readonly isModule;
  }
  class Instance {
    constructor(module: Module, imports: object);
    readonly exports: Record<string, unknown>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
}
