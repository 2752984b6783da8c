final class Wasm { private Wasm() {} }
