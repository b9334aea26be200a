// Moves money between two accounts exactly once, whichever request or answer gets lost. Java 17; Jackson reads the JSON.
//   java -cp "jackson/*" Transfer.java URL FROM TO AMOUNT      exit code 0: applied, 1: not applied and never will be, 2: unknown

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

public class Transfer {
    static final int ATTEMPTS = 12;
    static final long FIRST_WAIT = 100, LONGEST_WAIT = 10_000; // milliseconds
    static final Duration ANSWER_WAIT = Duration.ofSeconds(60);
    static final Set<Integer> PASSING = Set.of(408, 425, 429, 500, 502, 503, 504);
    static final ObjectMapper JSON = new ObjectMapper();

    final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    final String server;

    Transfer(String server) {
        this.server = server;
    }

    /** Nobody could say what became of it. */
    static class Unknown extends Exception {
        Unknown(String message) {
            super(message);
        }
    }

    record Answer(int status, String location, String etag, JsonNode document) {
        String text(String member) {
            return document.path(member).asText();
        }
    }

    record Result(boolean applied, String sentence) {}

    /** Sends a request, unchanged, until the API itself has decided it. */
    Answer send(String method, String path, String tag, JsonNode content) throws Unknown, InterruptedException {
        var body = content == null ? BodyPublishers.noBody() : BodyPublishers.ofString(content.toString());
        var request = HttpRequest.newBuilder(URI.create(server + path)).method(method, body).timeout(ANSWER_WAIT);
        if (tag != null) request.header("If-Match", tag);
        if (content != null) request.header("Content-Type", "application/json");
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            long longest = Math.min(LONGEST_WAIT, FIRST_WAIT << attempt);
            long wait = ThreadLocalRandom.current().nextLong(longest + 1); // full jitter: clients spread out
            try {
                HttpResponse<String> answer = client.send(request.build(), BodyHandlers.ofString());
                String seconds = answer.headers().firstValue("Retry-After").orElse("");
                if (seconds.matches("\\d{1,9}")) wait += Long.parseLong(seconds) * 1000;
                JsonNode document = JSON.readTree(answer.body());
                // An error that is no problem of the API comes from something in between, and says nothing.
                boolean ours = answer.statusCode() < 300 || document.path("type").asText().startsWith("/problems/");
                if (ours && !PASSING.contains(answer.statusCode())) {
                    String location = answer.headers().firstValue("Location").orElse(null);
                    return new Answer(answer.statusCode(), location, answer.headers().firstValue("ETag").orElse(null), document);
                }
            } catch (IOException e) {
                // No answer, or not a whole one: the request may have arrived, or not.
            }
            Thread.sleep(wait);
        }
        throw new Unknown("no answer to " + method + " " + path);
    }

    /** What was not applied will never be. */
    Result transfer(String from, String to, BigDecimal amount) throws Unknown, InterruptedException {
        Answer opened = send("POST", "/transactions", null, null);
        String transaction = opened.location(), tag = opened.etag();
        String query = "?key=" + encode("accounts/" + from) + "&key=" + encode("accounts/" + to);
        String reason = null; // to give up
        while (true) {
            ObjectNode operation = JSON.createObjectNode();
            if (reason == null) { // read, and decide
                Answer page = send("GET", "/resources" + query, null, null);
                JsonNode source = null, target = null;
                for (JsonNode item : page.document().path("items")) {
                    if (item.path("key").asText().equals(from)) source = item;
                    if (item.path("key").asText().equals(to)) target = item;
                }
                if (source == null || target == null) {
                    reason = page.document().path("detail").asText("no such account");
                } else if (amount.signum() <= 0 || amount.compareTo(balance(source)) > 0) {
                    reason = "not enough money";
                } else {
                    operation.putArray("changes").add(change(source, amount.negate())).add(change(target, amount));
                }
            }
            Answer answer = reason == null ? send("PUT", transaction, tag, operation) : send("DELETE", transaction, "*", null);

            String problem = answer.text("type");
            // Somebody was faster, and nothing has happened: again, in the same transaction.
            if (problem.equals("/problems/stale-resource")) continue;
            // Where the transaction was used before, by a request whose answer got lost, the problem shows it as `current`.
            JsonNode now = answer.document().has("current") ? answer.document().get("current") : answer.document();
            if (now.path("state").asText().equals("committed")) return new Result(true, "applied " + transaction);
            if (answer.status() == 204 || Set.of("/problems/transaction-cancelled", "/problems/transaction-expired").contains(problem)) {
                return new Result(false, "not applied " + transaction + ": " + (reason != null ? reason : answer.text("detail")));
            }
            if (answer.status() == 410 || reason != null) throw new Unknown(transaction + ": " + answer.text("detail"));
            reason = answer.text("detail") + " " + answer.document().path("errors"); // the request needs mending: give it up
        }
    }

    /** A change of exactly the state that was decided on. */
    static ObjectNode change(JsonNode account, BigDecimal by) {
        ObjectNode change = JSON.createObjectNode().put("method", "PATCH");
        change.set("target", account.get("href"));
        change.set("if_match", account.get("etag"));
        change.putObject("body").put("balance", balance(account).add(by));
        return change;
    }

    static BigDecimal balance(JsonNode account) {
        return account.path("body").path("balance").decimalValue();
    }

    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws InterruptedException {
        int status;
        try {
            Result result = new Transfer(arguments[0]).transfer(arguments[1], arguments[2], new BigDecimal(arguments[3]));
            System.out.println(result.sentence());
            status = result.applied() ? 0 : 1;
        } catch (Unknown unknown) {
            System.out.println("unknown: " + unknown.getMessage());
            status = 2;
        }
        System.exit(status);
    }
}
