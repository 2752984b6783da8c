import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.utils.Exit;

/** Apache Kafka's command-line tools, run in this process: each has a main method, and exits through a class that can be told not to. */
final class Tool {
    private static final Map<String, String> CLASSES = Map.ofEntries(
        Map.entry("topics", "org.apache.kafka.tools.TopicCommand"),
        Map.entry("configs", "kafka.admin.ConfigCommand"),
        Map.entry("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
        Map.entry("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
        Map.entry("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
        Map.entry("groups", "org.apache.kafka.tools.GroupsCommand"),
        Map.entry("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
        Map.entry("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
        Map.entry("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
        Map.entry("broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
        Map.entry("verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
        Map.entry("verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
        Map.entry("producer-perf", "org.apache.kafka.tools.ProducerPerformance"),
        Map.entry("consumer-perf", "org.apache.kafka.tools.ConsumerPerformance"),
        Map.entry("cluster", "org.apache.kafka.tools.ClusterTool"),
        Map.entry("compat", "org.apache.kafka.tools.ClientCompatibilityTest"),
        Map.entry("dump-log", "org.apache.kafka.tools.DumpLogSegments"));

    private static volatile OutputStream out;
    private static volatile OutputStream err;
    private static volatile InputStream in = InputStream.nullInputStream();
    private static final AtomicReference<Integer> ended = new AtomicReference<>();

    private Tool() {}

    /** What a tool printed, and the code with which it ended. */
    record Result(int code, String out, String err) {
        /** It ended well. */
        Result ok() {
            Check.that(code == 0, "exit code %d%n%s%n%s", code, out, err);
            return this;
        }

        /** It ended badly, and said so in these words somewhere. */
        Result failed(String words) {
            Check.that(code != 0, "exit code 0%n%s%n%s", out, err);
            return says(words);
        }

        Result says(String words) {
            Check.that((out + err).contains(words), "\"%s\" is not in%n%s%n%s", words, out, err);
            return this;
        }

        Result saysNot(String words) {
            Check.that(!(out + err).contains(words), "\"%s\" is in%n%s%n%s", words, out, err);
            return this;
        }

        /** The words of the first line of the output that has all of these. */
        String[] line(String... all) {
            for (String line : out.split("\n")) {
                if (java.util.Arrays.stream(all).allMatch(line::contains)) {
                    return line.trim().split("\\s+");
                }
            }
            throw new AssertionError("no line with " + String.join(" and ", all) + " in\n" + out + err);
        }
    }

    /** Unwinds a tool that wanted to exit. Some catch it and exit again: the first code is the one that counts. */
    private static final class Ended extends RuntimeException {
        Ended() {
            super("the tool has ended", null, false, false);
        }
    }

    private static void end(int code) {
        ended.compareAndSet(null, code);
        throw new Ended();
    }

    /** From now on what the process prints goes to the tool that runs, if one does. Has to come before any tool's class is loaded. */
    static void install() {
        PrintStream realOut = System.out;
        PrintStream realErr = System.err;
        System.setOut(new PrintStream(new Switch(() -> out, realOut), true));
        System.setErr(new PrintStream(new Switch(() -> err, realErr), true));
        System.setIn(new InputStream() {
            @Override
            public int read() throws java.io.IOException {
                return in.read();
            }

            @Override
            public int read(byte[] b, int off, int len) throws java.io.IOException {
                return in.read(b, off, len);
            }
        });
        Exit.setExitProcedure((code, message) -> end(code));
        Exit.setHaltProcedure((code, message) -> end(code));
        Exit.setShutdownHookAdder((name, hook) -> { });
    }

    /** Runs a tool to its end. */
    static Result run(String name, String... args) throws Exception {
        return fed("", name, args);
    }

    /** Runs a tool in a process of its own, for one that finishes its work only when its process ends. */
    static Result spawned(String name, String... args) throws Exception {
        List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1",
            "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"), "-cp", System.getProperty("java.class.path"),
            CLASSES.get(name), "--bootstrap-server", Target.BOOTSTRAP));
        command.addAll(List.of(args));
        Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
        String printed = Target.text(p.getInputStream().readAllBytes());
        return new Result(p.waitFor(), printed, "");
    }

    /** Runs a tool against the broker that is asked. */
    static Result ask(String name, String... args) throws Exception {
        String[] all = new String[args.length + 2];
        all[0] = "--bootstrap-server";
        all[1] = Target.BOOTSTRAP;
        System.arraycopy(args, 0, all, 2, args.length);
        return fed("", name, all);
    }

    /** Runs a tool with something to read. */
    static Result fed(String input, String name, String... args) throws Exception {
        ByteArrayOutputStream o = new ByteArrayOutputStream();
        ByteArrayOutputStream e = new ByteArrayOutputStream();
        in = new ByteArrayInputStream(Target.bytes(input));
        out = o;
        err = e;
        ended.set(null);
        try {
            Class.forName(CLASSES.get(name)).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (InvocationTargetException x) {
            if (!(x.getCause() instanceof Ended)) { // Java's own end of a main method that throws
                x.getCause().printStackTrace(new PrintStream(e, true));
                ended.compareAndSet(null, 1);
            }
        } finally {
            System.out.flush();
            System.err.flush();
            out = null;
            err = null;
        }
        int code = ended.get() == null ? 0 : ended.get();
        return new Result(code, o.toString(java.nio.charset.StandardCharsets.UTF_8), e.toString(java.nio.charset.StandardCharsets.UTF_8));
    }

    private static final class Switch extends OutputStream {
        private final java.util.function.Supplier<OutputStream> to;
        private final OutputStream otherwise;

        Switch(java.util.function.Supplier<OutputStream> to, OutputStream otherwise) {
            this.to = to;
            this.otherwise = otherwise;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] b, int off, int len) throws java.io.IOException {
            OutputStream now = to.get();
            (now == null ? otherwise : now).write(b, off, len);
        }
    }
}
