// The work of a Java client (work.py), in a few threads.
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

record Work(String url, String method, String path, int size, String how, String credentials) {
    static final int WORKERS = 4;

    record Answer(int status, byte[] body) {}

    interface Client {
        // `token` is null in the first attempt of a retry, and where none is wanted.
        Answer ask(Work work, String token) throws Exception;
    }

    byte[] body() {
        byte[] line = (path + "\n").getBytes(StandardCharsets.US_ASCII);
        byte[] body = new byte[size];
        for (int at = 0; at < size; at++) {
            body[at] = line[at % line.length];
        }
        return body;
    }

    private String serve(Client client, String token) throws Exception {
        List<String> tokens = new ArrayList<>();
        if (!credentials.equals("token")) {
            tokens.add(null);
        }
        if (!credentials.equals("none")) {
            tokens.add(token);
        }
        List<String> statuses = new ArrayList<>();
        Answer answer = null;
        for (String each : tokens) {
            answer = client.ask(this, each);
            statuses.add(Integer.toString(answer.status()));
        }
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(answer.body());
        return path + " " + String.join(",", statuses) + " " + HexFormat.of().formatHex(hash);
    }

    static void all(String[] arguments, Client client) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(WORKERS);
        List<Future<String>> lines = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            String[] fields = line.split(" ");
            Work work = new Work(
                arguments[0] + fields[1], fields[0], fields[1], Integer.parseInt(fields[2]), fields[3], fields[4]);
            lines.add(pool.submit(() -> work.serve(client, arguments[1])));
        }
        for (Future<String> each : lines) {
            System.out.println(each.get());
        }
        pool.shutdown();
    }
}
