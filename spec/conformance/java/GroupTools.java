final class GroupTools { private GroupTools() {} }
