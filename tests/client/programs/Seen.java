// What a Java server saw of a request: a line of JSON, which it also adds to the file $SEEN.
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

final class Seen {
    private final StringBuilder json = new StringBuilder("{");

    Seen add(String name, String value) {
        json.append(json.length() > 1 ? "," : "").append(quoted(name)).append(':').append(quoted(value));
        return this;
    }

    Seen headers(List<String[]> headers) {
        List<String> pairs = new ArrayList<>();
        for (String[] each : headers) {
            pairs.add("[" + quoted(each[0].toLowerCase()) + "," + quoted(each[1]) + "]");
        }
        json.append(",\"headers\":[").append(String.join(",", pairs)).append(']');
        return this;
    }

    byte[] kept() throws IOException {
        byte[] line = (json + "}").getBytes(StandardCharsets.UTF_8);
        byte[] ended = (json + "}\n").getBytes(StandardCharsets.UTF_8);
        Files.write(Path.of(System.getenv("SEEN")), ended, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        return line;
    }

    private static String quoted(String value) {
        StringBuilder text = new StringBuilder("\"");
        for (char each : (value == null ? "" : value).toCharArray()) {
            if (each == '"' || each == '\\') {
                text.append('\\').append(each);
            } else if (each < ' ') {
                text.append(String.format("\\u%04x", (int) each));
            } else {
                text.append(each);
            }
        }
        return text.append('"').toString();
    }
}
