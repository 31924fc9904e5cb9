// Owns the configuration of MSAL for Java in tests: client, server and cache file, all from the environment.
import com.microsoft.aad.msal4j.ITokenCacheAccessAspect;
import com.microsoft.aad.msal4j.ITokenCacheAccessContext;
import com.microsoft.aad.msal4j.PublicClientApplication;
import com.microsoft.aad.msal4jextensions.PersistenceSettings;
import com.microsoft.aad.msal4jextensions.PersistenceTokenCacheAccessAspect;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

final class App {
    private App() {}

    /** `extensions`: locked, as the package of the extension does. `plain`: {@link Plain}. */
    private static ITokenCacheAccessAspect keeper(String path, String keeper) throws IOException {
        return keeper.equals("extensions") ? extensions(Path.of(path), 100, 500) : new Plain(Path.of(path));
    }

    static PersistenceTokenCacheAccessAspect extensions(Path path, int delay, int tries) throws IOException {
        var settings = PersistenceSettings.builder(path.getFileName().toString(), path.getParent());
        settings.setLinuxUseUnprotectedFileAsCacheStorage(true).setLockRetry(delay, tries);
        return new PersistenceTokenCacheAccessAspect(settings.build());
    }

    /** Read before each access and written after it, as the documentation of MSAL recommends. */
    private static final class Plain implements ITokenCacheAccessAspect {
        private final Path path;

        Plain(Path path) {
            this.path = path;
        }

        @Override
        public void beforeCacheAccess(ITokenCacheAccessContext context) {
            try {
                if (Files.exists(path)) context.tokenCache().deserialize(Files.readString(path));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        @Override
        public void afterCacheAccess(ITokenCacheAccessContext context) {
            try {
                if (context.hasCacheChanged()) Files.writeString(path, context.tokenCache().serialize());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private static SSLSocketFactory trusting(String pem) throws Exception {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(pem))) {
            roots.setCertificateEntry("test", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    static PublicClientApplication application() throws Exception {
        var environment = System.getenv();
        var builder = PublicClientApplication.builder(environment.get("CLIENT_ID"));
        builder.authority(environment.get("AUTHORITY")).sslSocketFactory(trusting(environment.get("ROOTS")));
        if (environment.containsKey("HTTPS_PROXY")) {
            URI proxy = URI.create(environment.get("HTTPS_PROXY"));
            builder.proxy(new Proxy(Proxy.Type.HTTP, new InetSocketAddress(proxy.getHost(), proxy.getPort())));
        }
        if (environment.containsKey("CACHE")) {
            builder.setTokenCacheAccessAspect(keeper(environment.get("CACHE"), environment.get("KEEPER")));
        }
        if (environment.containsKey("PRIVATE_AUTHORITY")) {
            builder.instanceDiscovery(false);
        }
        return builder.build();
    }
}
