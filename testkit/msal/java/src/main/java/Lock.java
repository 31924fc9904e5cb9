// Owns the commands that a test can give to the lock of MSAL for Java.
import com.microsoft.aad.msal4j.ITokenCache;
import com.microsoft.aad.msal4j.ITokenCacheAccessContext;
import java.nio.file.Files;
import java.nio.file.Path;

final class Lock {
    private Lock() {}

    /** A cache whose content is that of the file, about to be changed: the extension locks it until it has written. */
    private static final class Access implements ITokenCacheAccessContext, ITokenCache {
        private String text = "";

        @Override
        public void deserialize(String data) {
            text = data;
        }

        @Override
        public String serialize() {
            return text;
        }

        @Override
        public ITokenCache tokenCache() {
            return this;
        }

        @Override
        public String clientId() {
            return "";
        }

        @Override
        public com.microsoft.aad.msal4j.IAccount account() {
            return null;
        }

        @Override
        public boolean hasCacheChanged() {
            return true;
        }
    }

    public static void main(String[] line) throws Exception {
        Path path = Path.of(line[0]);
        var keeper = App.extensions(path, 100, line[1].equals("try") ? 30 : 500);
        Access access = new Access();
        switch (line[1]) {
            case "hold":
                keeper.beforeCacheAccess(access);
                System.out.println("held");
                System.in.read();
                keeper.afterCacheAccess(access);
                break;
            case "try":
                try {
                    keeper.beforeCacheAccess(access);
                    keeper.afterCacheAccess(access);
                    System.out.println("got it");
                } catch (RuntimeException refused) {
                    System.out.println("refused");
                }
                break;
            case "count":
                for (int i = 0; i < 20; i++) {
                    keeper.beforeCacheAccess(access);
                    access.text = Integer.toString(Integer.parseInt(Files.readString(path)) + 1);
                    keeper.afterCacheAccess(access);
                }
                break;
            default:
                throw new IllegalArgumentException(line[1]);
        }
        System.exit(0);
    }
}
