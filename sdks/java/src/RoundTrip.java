// A transfer with the SDK that openapi-generator's `java` makes of openapi.yaml, whatever gets in its way.
//
//     java RoundTrip <server URL> <URL of a proxy before it that loses answers>

import com.fasterxml.jackson.core.JsonProcessingException;
import ifmatch.client.ApiClient;
import ifmatch.client.ApiException;
import ifmatch.client.ApiResponse;
import ifmatch.client.JSON;
import ifmatch.client.api.ResourcesApi;
import ifmatch.client.api.ResourcesApi.APIGetResourceRequest;
import ifmatch.client.api.ResourcesApi.APIListCollectionsRequest;
import ifmatch.client.api.ResourcesApi.APIPutResourceRequest;
import ifmatch.client.api.TransactionsApi;
import ifmatch.client.api.TransactionsApi.APICreateTransactionRequest;
import ifmatch.client.api.TransactionsApi.APIDeleteTransactionRequest;
import ifmatch.client.api.TransactionsApi.APIPutTransactionRequest;
import ifmatch.client.model.Change;
import ifmatch.client.model.ChangeMethod;
import ifmatch.client.model.Conflict;
import ifmatch.client.model.Problem;
import ifmatch.client.model.Transaction;
import ifmatch.client.model.TransactionPut;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;

public class RoundTrip {
    static final int PUTS_MAX = 10; // of one transfer

    /** A document, and the tag of this very state. */
    record Read(int balance, String tag) {}

    record Applied(Transaction transaction, List<Conflict> met) {}

    interface Meanwhile {
        void happens() throws ApiException;
    }

    final ResourcesApi resources;
    final TransactionsApi transactions;

    RoundTrip(String url) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        resources = new ResourcesApi(client);
        transactions = new TransactionsApi(client);
    }

    static void check(boolean holds, Object shown) {
        if (!holds) throw new AssertionError(shown);
    }

    static String header(ApiResponse<?> answer, String name) {
        List<String> values = answer.getHeaders().get(name);
        return values == null ? null : values.get(0);
    }

    /** The problem that a request was refused with. */
    static Problem problem(ApiException refused) throws ApiException {
        try {
            return JSON.getDefault().getMapper().readValue(refused.getResponseBody(), Problem.class);
        } catch (JsonProcessingException | IllegalArgumentException e) {
            throw refused; // no answer, or one of something in between
        }
    }

    Read read(String key) throws ApiException {
        var request = APIGetResourceRequest.newBuilder().collection("accounts").key(key).build();
        ApiResponse<Object> answer = resources.getResourceWithHttpInfo(request);
        Object balance = ((Map<?, ?>) answer.getData()).get("balance");
        return new Read((Integer) balance, header(answer, "ETag"));
    }

    ApiResponse<Void> write(String key, String ifMatch, String ifNoneMatch, Object document) throws ApiException {
        var request = APIPutResourceRequest.newBuilder().collection("accounts").key(key);
        return resources.putResourceWithHttpInfo(request.ifMatch(ifMatch).ifNoneMatch(ifNoneMatch).body(document).build());
    }

    Transaction open() throws ApiException {
        return transactions.createTransaction(APICreateTransactionRequest.newBuilder().build());
    }

    static Change put(String key, String ifMatch, int balance) {
        return new Change()
            .method(ChangeMethod.PUT)
            .target("/resources/accounts/" + key)
            .ifMatch(ifMatch)
            .body(Map.of("balance", balance));
    }

    /** The changes that move money between these two states. */
    List<Change> movement(String source, String target, int amount) throws ApiException {
        Read giver = read(source), taker = read(target);
        return List.of(
            put(source, giver.tag(), giver.balance() - amount), put(target, taker.tag(), taker.balance() + amount));
    }

    /** Asks for the changes to be applied: once, in this transaction or never. */
    ApiResponse<Transaction> apply(Transaction opened, List<Change> changes, String requestId) throws ApiException {
        var request = APIPutTransactionRequest.newBuilder()
            .id(opened.getId())
            .ifMatch(opened.getEtag())
            .xRequestId(requestId)
            .transactionPut(new TransactionPut().changes(changes));
        return transactions.putTransactionWithHttpInfo(request.build());
    }

    /** Moves money. Between the first reading and the first writing somebody else does something. */
    Applied transfer(String source, String target, int amount, Meanwhile meanwhile) throws ApiException {
        Transaction opened = open();
        List<Conflict> met = new ArrayList<>();
        for (int puts = 0; puts < PUTS_MAX; puts++) {
            List<Change> changes = movement(source, target, amount);
            if (puts == 0) meanwhile.happens();
            try {
                return new Applied(apply(opened, changes, null).getData(), met);
            } catch (ApiException refused) {
                Problem problem = problem(refused);
                if (!problem.getType().equals("/problems/stale-resource")) throw refused;
                met.addAll(problem.getConflicts()); // nothing was applied: read again, same transaction
            }
        }
        throw new AssertionError(source + " is changed all the time");
    }

    void competes(String alice, String bob) throws ApiException {
        String[] current = new String[1];
        Applied applied = transfer(alice, bob, 10, () -> {
            ApiResponse<Void> written = write(alice, read(alice).tag(), null, Map.of("balance", 120));
            check(written.getStatusCode() == 204, written.getStatusCode());
            current[0] = header(written, "ETag");
        });
        check(applied.transaction().getState().equals("committed"), applied);
        check(applied.transaction().getOutcome().getChanges().size() == 2, applied);
        check(applied.met().size() == 1, applied.met());
        Conflict conflict = applied.met().get(0);
        check(conflict.getChange() == 0 && conflict.getTarget().equals("/resources/accounts/" + alice), conflict);
        check(current[0] != null && current[0].equals(conflict.getCurrent()), conflict);
        check(conflict.getTransaction().startsWith("/transactions/"), conflict);
    }

    void losesAnAnswer(RoundTrip lossy, String alice, String bob) throws ApiException {
        Transaction opened = lossy.open();
        List<Change> changes = movement(alice, bob, 10);
        String mark = "lose-me-" + UUID.randomUUID();
        ApiResponse<Transaction> answer = null;
        int losses = 0;
        while (answer == null && losses < PUTS_MAX) {
            try {
                answer = lossy.apply(opened, changes, mark);
            } catch (ApiException e) {
                if (e.getCode() != 0 && e.getCode() < 500) throw e;
                losses++; // applied or not? The same request tells.
            }
        }
        boolean replayed = "true".equals(header(Objects.requireNonNull(answer), "Idempotent-Replayed"));
        check(losses == 1 && replayed && answer.getData().getState().equals("committed"), losses);
    }

    void givesUp(String alice, String bob) throws ApiException {
        Transaction opened = open();
        List<Change> late = movement(alice, bob, 10);
        var request = APIDeleteTransactionRequest.newBuilder().id(opened.getId()).ifMatch("*").build();
        check(transactions.deleteTransactionWithHttpInfo(request).getStatusCode() == 204, "not given up");
        try {
            throw new AssertionError(apply(opened, late, null).getData());
        } catch (ApiException refused) {
            Problem problem = problem(refused);
            check(refused.getCode() == 410, problem);
            check(problem.getType().equals("/problems/transaction-cancelled"), problem);
        }
    }

    /** What docs/sdks.md says this SDK can't do: noticed here once it can. */
    void limits(String key) throws ApiException {
        // A 304 is an exception.
        var request = APIGetResourceRequest.newBuilder().collection("accounts").key(key);
        try {
            throw new AssertionError(resources.getResource(request.ifNoneMatch(read(key).tag()).build()));
        } catch (ApiException unchanged) {
            check(unchanged.getCode() == 304, unchanged);
        }
        // A top-level null is not sent at all, and a null in a change neither.
        try {
            write(key + "-null", null, "*", null);
            throw new AssertionError("a null was sent");
        } catch (ApiException refused) {
            check(refused.getCode() == 400 || refused.getCode() == 415, refused);
        }
        Change change = new Change().method(ChangeMethod.PUT).target("/resources/accounts/" + key + "-null").ifNoneMatch("*");
        try {
            throw new AssertionError(apply(open(), List.of(change.body(null)), null).getData());
        } catch (ApiException refused) {
            check(problem(refused).getType().equals("/problems/invalid-operation"), refused);
        }
    }

    public static void main(String[] arguments) throws ApiException {
        RoundTrip direct = new RoundTrip(arguments[0]), lossy = new RoundTrip(arguments[1]);
        String alice = "alice+co&sons-" + UUID.randomUUID(), bob = "bob+co&sons-" + UUID.randomUUID();
        for (String key : List.of(alice, bob)) {
            ApiResponse<Void> created = direct.write(key, null, "*", Map.of("balance", key.equals(alice) ? 100 : 0));
            check(created.getStatusCode() == 201, created.getStatusCode());
            check(direct.read(key).tag().equals(header(created, "ETag")), key);
        }
        direct.competes(alice, bob);
        direct.losesAnAnswer(lossy, alice, bob);
        direct.givesUp(alice, bob);
        direct.limits(bob);
        var request = APIListCollectionsRequest.newBuilder().key(List.of("accounts/" + alice, "accounts/" + bob)).build();
        var items = direct.resources.listCollections(request).getItems();
        var balances = items.stream().map(item -> ((Map<?, ?>) item.getBody()).get("balance")).toList();
        check(balances.equals(List.of(100, 20)), balances);
        System.out.println("javac; one 412, one lost answer, one 410; 100 and 20 in the end");
    }
}
