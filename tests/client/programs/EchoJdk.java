// The JDK's HttpServer: reports each request as it sees it (Seen.java).
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;

public final class EchoJdk {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            if (exchange.getRequestURI().getPath().endsWith("/early")) {
                // Answers without reading the body.
                exchange.sendResponseHeaders(403, 5);
                exchange.getResponseBody().write("early".getBytes(StandardCharsets.US_ASCII));
                exchange.close();
                return;
            }
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.ISO_8859_1);
            List<String[]> headers = new ArrayList<>();
            exchange.getRequestHeaders().forEach((name, values) ->
                values.forEach(value -> headers.add(new String[] {name, value})));
            byte[] line = new Seen()
                .add("id", exchange.getRequestHeaders().getFirst("X-Request-Id"))
                .add("method", exchange.getRequestMethod())
                .add("path", exchange.getRequestURI().getPath())
                .add("target", exchange.getRequestURI().toString())
                .add("query", exchange.getRequestURI().getRawQuery())
                .add("script", "")
                .add("user", "")
                .add("body", body)
                .headers(headers)
                .kept();
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            boolean head = exchange.getRequestMethod().equals("HEAD");
            exchange.sendResponseHeaders(200, head ? -1 : line.length);
            if (!head) {
                exchange.getResponseBody().write(line);
            }
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
