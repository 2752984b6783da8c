final class Tools { private Tools() {} }
