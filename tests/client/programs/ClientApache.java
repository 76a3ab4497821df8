// Does the work with Apache HttpClient 5, which offers an upgrade to TLS with its requests.
import java.io.ByteArrayInputStream;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManager;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;

public final class ClientApache {
    public static void main(String[] arguments) throws Exception {
        PoolingHttpClientConnectionManager connections = PoolingHttpClientConnectionManagerBuilder.create()
            .setMaxConnPerRoute(Work.WORKERS).setMaxConnTotal(Work.WORKERS).build();
        try (CloseableHttpClient client = HttpClients.custom().setConnectionManager(connections).build()) {
            Work.all(arguments, (work, token) -> {
                HttpUriRequestBase request = new HttpUriRequestBase(work.method(), java.net.URI.create(work.url()));
                request.setConfig(RequestConfig.custom().setExpectContinueEnabled(work.how().equals("expect")).build());
                if (token != null) {
                    request.setHeader("Authorization", "Bearer " + token);
                }
                if (work.size() > 0) {
                    ContentType type = ContentType.APPLICATION_OCTET_STREAM;
                    request.setEntity(work.how().equals("stream")
                        ? new InputStreamEntity(new ByteArrayInputStream(work.body()), type)
                        : new ByteArrayEntity(work.body(), type));
                }
                return client.execute(request, answer -> {
                    byte[] body = answer.getEntity() == null ? new byte[0] : EntityUtils.toByteArray(answer.getEntity());
                    return new Work.Answer(answer.getCode(), body);
                });
            });
        }
    }
}
