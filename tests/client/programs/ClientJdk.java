// Does the work with the JDK's HttpClient, which offers an upgrade to HTTP/2 with its requests.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

public final class ClientJdk {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        Work.all(arguments, (work, token) -> {
            byte[] body = work.body();
            BodyPublisher publisher = work.size() == 0 ? BodyPublishers.noBody()
                : work.how().equals("stream") ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))
                : BodyPublishers.ofByteArray(body);
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(work.url()))
                .method(work.method(), publisher)
                // Java 17 never stops waiting for a 100 if any server answers 401.
                .expectContinue(work.how().equals("expect") && token != null);
            if (token != null) {
                request.header("Authorization", "Bearer " + token);
            }
            HttpResponse<byte[]> answer = client.send(request.build(), BodyHandlers.ofByteArray());
            return new Work.Answer(answer.statusCode(), answer.body());
        });
        System.exit(0);
    }
}
