import java.io.PrintStream;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs every case, or those whose names contain one of the arguments, and exits 1 if any failed. */
public final class Suite {
    /** A case: a static method without parameters, which throws if something is not as it should be. */
    @Retention(RetentionPolicy.RUNTIME)
    @interface Case {
        int order(); // the place within its class: reflection knows none

        /** What only millrun does: left out where the suite runs against another broker. */
        boolean ours() default false;
    }

    private static final List<Class<?>> CASES =
        List.of(Records.class, Reading.class, Groups.class, Admins.class, Tools.class, GroupTools.class, Wasm.class, Files.class);
    private static final int SECONDS = 120; // for one case

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        Tool.install();
        List<String> failed = new ArrayList<>();
        int passed = 0;
        int skipped = 0;
        for (Class<?> group : CASES) {
            for (Method m : casesOf(group)) {
                String name = group.getSimpleName() + "." + m.getName();
                if (args.length > 0 && Arrays.stream(args).noneMatch(name::contains)) {
                    continue;
                }
                if (m.getAnnotation(Case.class).ours() && !Target.isMillrun()) {
                    skipped++;
                    continue;
                }
                long began = System.nanoTime();
                Throwable wrong = run(m);
                out.printf("%-6s %s (%.1f s)%n", wrong == null ? "ok" : "FAILED", name, (System.nanoTime() - began) / 1e9);
                if (wrong == null) {
                    passed++;
                } else {
                    failed.add(name);
                    wrong.printStackTrace(out);
                }
                out.flush();
            }
        }
        out.printf("%d passed, %d failed, %d skipped%n", passed, failed.size(), skipped);
        failed.forEach(name -> out.println("FAILED " + name));
        out.flush();
        Runtime.getRuntime().halt(failed.isEmpty() && passed > 0 ? 0 : 1);
    }

    private static List<Method> casesOf(Class<?> group) {
        return Arrays.stream(group.getDeclaredMethods())
            .filter(m -> m.isAnnotationPresent(Case.class))
            .sorted(Comparator.comparingInt(m -> m.getAnnotation(Case.class).order()))
            .toList();
    }

    private static Throwable run(Method m) {
        m.setAccessible(true);
        FutureTask<Void> task = new FutureTask<>(() -> {
            m.invoke(null);
            return null;
        });
        Thread thread = new Thread(task, m.getName());
        thread.setDaemon(true);
        thread.start();
        try {
            task.get(SECONDS, TimeUnit.SECONDS);
            return null;
        } catch (ExecutionException e) {
            return e.getCause() instanceof InvocationTargetException i ? i.getCause() : e.getCause();
        } catch (TimeoutException e) {
            AssertionError wrong = new AssertionError("not done after " + SECONDS + " s");
            wrong.setStackTrace(thread.getStackTrace());
            return wrong;
        } catch (InterruptedException e) {
            return e;
        }
    }
}
