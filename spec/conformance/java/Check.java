import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** What cases say of what they see. */
final class Check {
    private Check() {}

    static void that(boolean is, String what, Object... args) {
        if (!is) {
            throw new AssertionError(String.format(what, args));
        }
    }

    static void equal(Object got, Object want) {
        that(Objects.equals(got, want), "got %s, want %s", got, want);
    }

    /** The call throws such an exception, by itself or out of a future, within twenty seconds. */
    static <E extends Exception> E refused(Class<E> kind, Callable<?> call) {
        long began = System.nanoTime();
        try {
            Object got = call.call();
            throw new AssertionError("got " + got + ", want " + kind.getSimpleName());
        } catch (Exception e) {
            Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
            if (!kind.isInstance(cause)) {
                throw new AssertionError("want " + kind.getSimpleName(), cause);
            }
            that(System.nanoTime() - began < 20e9, "%s came late", kind.getSimpleName());
            return kind.cast(cause);
        }
    }

    /** Waits, thirty seconds at most, for what clients do by themselves in the background. */
    static void until(String what, Callable<Boolean> is) throws Exception {
        long end = System.nanoTime() + 30_000_000_000L;
        while (!is.call()) {
            that(System.nanoTime() < end, "still not so after 30 s: %s", what);
            Thread.sleep(10);
        }
    }
}
