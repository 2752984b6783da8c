final class Files { private Files() {} }
