"""Says which of the packages that a requirements file pins are not installed in that version; exits 1 if any."""
import importlib.metadata
import sys


def missing(lines):
    for line in lines:
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, _, version = line.partition("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield line
            continue
        if found != version:
            yield line


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        names = list(missing(f))
    print(" ".join(names))
    sys.exit(1 if names else 0)
