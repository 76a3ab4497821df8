// Tomcat: reports each request as a servlet sees it (Seen.java).
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

public final class EchoTomcat {
    private static final class Echo extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            if (request.getRequestURI().endsWith("/early")) {
                // Answers without reading the body.
                response.setStatus(403);
                response.setContentLength(5);
                response.getOutputStream().write("early".getBytes(StandardCharsets.US_ASCII));
                return;
            }
            String body = new String(request.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
            List<String[]> headers = new ArrayList<>();
            for (String name : Collections.list(request.getHeaderNames())) {
                for (String value : Collections.list(request.getHeaders(name))) {
                    headers.add(new String[] {name, value});
                }
            }
            String info = request.getPathInfo();
            byte[] line = new Seen()
                .add("id", request.getHeader("X-Request-Id"))
                .add("method", request.getMethod())
                .add("path", request.getServletPath() + (info == null ? "" : info))
                .add("target", request.getRequestURI())
                .add("query", request.getQueryString())
                .add("script", request.getContextPath())
                .add("user", request.getRemoteUser())
                .add("body", body)
                .headers(headers)
                .kept();
            response.setContentType("application/json");
            response.setContentLength(line.length);
            response.getOutputStream().write(line);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        Connector connector = new Connector();
        connector.setPort(Integer.parseInt(arguments[0]));
        connector.setProperty("address", "127.0.0.1");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "echo", new Echo());
        context.addServletMappingDecoded("/*", "echo");
        tomcat.start();
        tomcat.getServer().await();
    }
}
