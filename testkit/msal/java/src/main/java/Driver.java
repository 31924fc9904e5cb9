// Owns the commands that a test can give to MSAL for Java: one with its arguments, answered with one line of JSON.
import com.microsoft.aad.msal4j.DeviceCodeFlowParameters;
import com.microsoft.aad.msal4j.IAccount;
import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.MsalException;
import com.microsoft.aad.msal4j.MsalInteractionRequiredException;
import com.microsoft.aad.msal4j.MsalServiceException;
import com.microsoft.aad.msal4j.PublicClientApplication;
import com.microsoft.aad.msal4j.SilentParameters;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

final class Driver {
    private final PublicClientApplication app = App.application();

    private Driver() throws Exception {}

    private static Map<String, Object> told(CompletableFuture<IAuthenticationResult> request) {
        Map<String, Object> told = new HashMap<>();
        try {
            IAuthenticationResult result = request.join();
            told.put("token", result.accessToken());
            told.put("from", result.metadata().tokenSource().toString());
        } catch (CompletionException error) {
            if (!(error.getCause() instanceof MsalException)) throw error;
            MsalException cause = (MsalException) error.getCause();
            told.put("error", cause.errorCode());
            told.put("message", cause.getMessage());
            told.put("interaction", cause instanceof MsalInteractionRequiredException);
            if (cause instanceof MsalServiceException) {
                told.put("claims", ((MsalServiceException) cause).claims());
            }
        }
        return told;
    }

    private IAccount account(String username) {
        for (IAccount known : app.getAccounts().join()) {
            if (username.equals(known.username())) return known;
        }
        return null;
    }

    private String accounts() {
        List<String> all = new ArrayList<>();
        for (IAccount known : app.getAccounts().join()) {
            Map<String, Object> account = new HashMap<>();
            account.put("id", known.homeAccountId());
            account.put("username", known.username() == null ? "" : known.username());
            all.add(JSONObjectUtils.toJSONString(account));
        }
        return all.toString();
    }

    private Map<String, Object> silent(String username, Set<String> scopes, boolean force) throws Exception {
        IAccount chosen = account(username);
        if (chosen == null) return Map.of("nothing", true);
        return told(app.acquireTokenSilently(SilentParameters.builder(scopes, chosen).forceRefresh(force).build()));
    }

    /** How many of this many refreshes, one after the other, brought a token. */
    private Map<String, Object> refreshes(String username, Set<String> scopes, int number) throws Exception {
        int brought = 0;
        for (int i = 0; i < number; i++) {
            if (silent(username, scopes, true).containsKey("token")) brought++;
        }
        return Map.of("brought", brought);
    }

    private Map<String, Object> signIn(Set<String> scopes) {
        return told(app.acquireToken(DeviceCodeFlowParameters.builder(scopes, code -> {}).build()));
    }

    private Map<String, Object> remove(String username) {
        app.removeAccount(account(username)).join();
        return Map.of();
    }

    private String run(String[] line) throws Exception {
        switch (line[0]) {
            case "accounts":
                return accounts();
            case "silent":
                var silent = silent(line[1], Set.of(line[2].split(" ")), line[3].equals("force"));
                return JSONObjectUtils.toJSONString(silent);
            case "refreshes":
                var refreshes = refreshes(line[1], Set.of(line[2].split(" ")), Integer.parseInt(line[3]));
                return JSONObjectUtils.toJSONString(refreshes);
            case "sign_in":
                return JSONObjectUtils.toJSONString(signIn(Set.of(line[1].split(" "))));
            case "remove":
                return JSONObjectUtils.toJSONString(remove(line[1]));
            default:
                throw new IllegalArgumentException(line[0]);
        }
    }

    public static void main(String[] line) throws Exception {
        System.out.println(new Driver().run(line));
        System.exit(0);
    }
}
