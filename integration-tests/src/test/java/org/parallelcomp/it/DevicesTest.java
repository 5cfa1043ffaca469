package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.net.URL;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.backend.cpu.vector.CpuBackendProvider;
import org.parallelcomp.conformance.asserting.AssertingBackendProvider;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * A backend with several devices, caches of halves, blocks of its own and little memory: what the
 * engine makes of it, shown by sessions of the CPU backend in such a guise.
 */
class DevicesTest {
  private static final String NEEDLE = "The special magic number for Lisbon is: 8412067.";
  private static final String QUESTION = "What is the special magic number for Lisbon?";
  private static final String ANSWER = "8412067";

  private static int layers;

  private static final Map<String, AtomicInteger> APPENDED = new ConcurrentHashMap<>();
  private static volatile BackendTraits traits = BackendTraits.DEFAULT;
  private static volatile long freeBytes = Long.MAX_VALUE;
  private static final AtomicInteger CACHES_UNTIL_FULL = new AtomicInteger();

  private ClassLoader contextLoader;

  @BeforeAll
  static void countLayers() throws IOException {
    layers = Engine.inspect(Needle6m.path()).layers();
  }

  @BeforeEach
  void showTheBackend() {
    contextLoader = Thread.currentThread().getContextClassLoader();
    Thread.currentThread().setContextClassLoader(new OneService(contextLoader));
    APPENDED.clear();
    traits = BackendTraits.DEFAULT;
    freeBytes = Long.MAX_VALUE;
    CACHES_UNTIL_FULL.set(Integer.MAX_VALUE);
  }

  @AfterEach
  void hideTheBackend() {
    Thread.currentThread().setContextClassLoader(contextLoader);
  }

  private static Engine open(String... devices) throws IOException {
    return Engine.open(
        EngineConfig.of(Needle6m.path())
            .withBackend("guise")
            .withThreads(1)
            .withDevices(List.of(devices)));
  }

  private static GenerationRequest request(String change, Engine engine) throws IOException {
    String book = MobyDick.text().substring(60_000, 85_000);
    int at = book.indexOf(". ", 12_000) + 2;
    Plan plan = engine.plan("parallelcomp");
    for (String each : change.isEmpty() ? new String[0] : change.split("; ")) {
      String[] parts = each.split("=", 2);
      PolicyKind kind =
          Arrays.stream(PolicyKind.values())
              .filter(k -> k.label().equals(parts[0]))
              .findFirst()
              .orElseThrow();
      plan = plan.with(kind, PolicySpec.parse(parts[1]));
    }
    return GenerationRequest.ask(
            book.substring(0, at) + NEEDLE + " " + book.substring(at), QUESTION)
        .withPlan(plan)
        .withMaxTokens(12);
  }

  private static GenerationResult ask(String change, String... devices) throws IOException {
    try (Engine engine = open(devices)) {
      assertEquals(Math.max(1, devices.length), engine.devices().size());
      return engine.generate(request(change, engine), TokenSink.NONE);
    }
  }

  /** Ragged heads, weighed attention, chunks that are read again, keys that are rotated anew. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "chunk-eviction=best(chunks=3); selector=ada-kv",
        "chunk-eviction=best(chunks=3); merge=ape",
        "chunk-eviction=best(chunks=3); schedule=per-chunk(rerotate=true)",
        "chunking=even(tokens=240); chunk-eviction=best(chunks=4); budget=everything; merge=reread"
      })
  void severalDevicesAnswerAsOneDoes(String change) throws IOException {
    GenerationResult one = ask(change);
    assertTrue(one.figures().chunks() > 6, "a chunk for each device and more");
    APPENDED.clear();
    GenerationResult three = ask(change, "0", "1", "2");
    assertEquals(one.tokenIds(), three.tokenIds());
    assertEquals(one.citations(), three.citations());
    assertEquals(one.cache(), three.cache());
    assertEquals(Set.of("0", "1", "2"), APPENDED.keySet());
    // To the prompt's prefix and to each chunk tokens are appended in every layer.
    APPENDED.forEach(
        (device, count) -> assertTrue(count.get() >= 2 * layers, "device " + device + " idle"));
  }

  @Test
  void aCacheOfHalvesAndOtherBlocksAnswerTheSameInHalfTheBytes() throws IOException {
    List<String> plans =
        List.of(
            "",
            "token-scorer=key-diff; budget=tokens(keep=448)",
            "token-scorer=compactor; budget=tokens(keep=448)",
            "token-scorer=expected-attention; budget=tokens(keep=448)");
    var answers = new ArrayList<String>();
    for (String plan : plans) {
      answers.add(ask(plan).answer());
    }
    assertEquals(ANSWER, answers.getFirst().strip());
    GenerationResult floats = ask("");
    for (DType type : List.of(DType.BF16, DType.F16)) {
      traits = new BackendTraits(type, 300, true);
      for (int i = 0; i < plans.size(); i++) {
        assertEquals(answers.get(i), ask(plans.get(i), "0", "1").answer(), plans.get(i) + type);
      }
      GenerationResult halves = ask("");
      assertEquals(floats.figures().keptCacheBytes(), 2 * halves.figures().keptCacheBytes());
      assertEquals(floats.figures().fullCacheBytes(), 2 * halves.figures().fullCacheBytes());
      assertEquals(floats.cache().finalBytes(), 2 * halves.cache().finalBytes());
    }
  }

  @Test
  void aModelThatDoesNotFitIsRefusedBeforeItIsLoaded() throws IOException {
    long weights = Engine.inspect(Needle6m.path()).weightBytes();
    freeBytes = weights;
    open().close();
    traits = new BackendTraits(DType.F32, 2048, true);
    InferenceException refused = assertThrows(InferenceException.class, DevicesTest::open);
    assertEquals(ErrorCode.OUT_OF_MEMORY, refused.code());
    assertTrue(
        refused
            .getMessage()
            .matches(
                "The model needs [0-9]+ bytes \\(weights "
                    + weights
                    + ", rotary table [0-9]+\\), but "
                    + weights
                    + " of [0-9]+ are free on .*; take a smaller or more strongly quantised model,"
                    + " or another device\\."),
        refused.getMessage());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aDeviceThatRunsFullEndsTheRequestWithAdviceAndTheEngineGoesOn(int devices)
      throws IOException {
    String[] names = devices == 1 ? new String[0] : new String[] {"0", "1"};
    try (Engine engine = open(names)) {
      GenerationRequest request = request("", engine);
      String answer = engine.generate(request, TokenSink.NONE).answer();
      // In the first prefix, in its last layer, in the first chunks, while chunks are merged.
      for (int caches : List.of(0, layers - 1, layers, layers + 2, 3 * layers + 1)) {
        CACHES_UNTIL_FULL.set(caches);
        InferenceException refused =
            assertThrows(
                InferenceException.class,
                () -> engine.generate(request, TokenSink.NONE),
                caches + " caches");
        assertEquals(ErrorCode.OUT_OF_MEMORY, refused.code());
        assertEquals(
            "The device is full; cut the text into smaller chunks, keep fewer of them, or shorten"
                + " it.",
            refused.getMessage());
        CACHES_UNTIL_FULL.set(Integer.MAX_VALUE);
        assertEquals(answer, engine.generate(request, TokenSink.NONE).answer());
      }
    }
  }

  @Test
  void cancellingEndsAllDevices() throws IOException {
    try (Engine engine = open("0", "1")) {
      var cancellation = new Cancellation();
      GenerationResult result =
          engine.generate(
              request("", engine).withCancellation(cancellation),
              new TokenSink() {
                @Override
                public void onText(String text) {}

                @Override
                public void onProgress(Progress progress) {
                  if (progress.phase() == Progress.Phase.PREFILL && progress.done() == 2) {
                    cancellation.cancel();
                  }
                }
              });
      assertEquals(FinishReason.CANCELLED, result.finishReason());
      assertEquals(ANSWER, engine.generate(request("", engine), TokenSink.NONE).answer().strip());
    }
  }

  @Test
  void aDeviceNamedTwiceIsRefused() {
    InferenceException refused = assertThrows(InferenceException.class, () -> open("0", "1", "0"));
    assertEquals(ErrorCode.INVALID_ARGUMENT, refused.code());
    assertEquals("Each device can be named once: the devices are 0, 1, 0.", refused.getMessage());
  }

  /** The CPU backend, which takes any device and says of itself what a test wants. */
  public static final class Guise implements BackendProvider {
    private final BackendProvider real = new AssertingBackendProvider(new CpuBackendProvider()) {};

    /** Creates the provider; called by the service loader. */
    public Guise() {}

    @Override
    public String id() {
      return "guise";
    }

    @Override
    public String summary() {
      return real.summary();
    }

    @Override
    public Availability probe() {
      return real.probe();
    }

    @Override
    public Backend open(BackendConfig config) {
      var options = new HashMap<>(config.options());
      String device = options.remove(BackendConfig.DEVICE);
      return in(real.open(new BackendConfig(1, options)), device == null ? "" : device);
    }

    private static Backend in(Backend backend, String device) {
      return proxy(
          Backend.class,
          backend,
          (name, result) ->
              switch (name) {
                case "traits" -> traits;
                case "info" -> poorer((BackendInfo) result);
                case "cache" -> counting((CacheOps) result, device);
                default -> result;
              });
    }

    private static BackendInfo poorer(BackendInfo info) {
      return new BackendInfo(
          info.id(),
          info.device(),
          info.threads(),
          info.totalBytes(),
          Math.min(info.freeBytes(), freeBytes),
          info.facts());
    }

    private static CacheOps counting(CacheOps cache, String device) {
      return proxy(
          CacheOps.class,
          cache,
          (name, result) -> {
            if (name.equals("allocate") && CACHES_UNTIL_FULL.getAndDecrement() <= 0) {
              throw new InferenceException(ErrorCode.OUT_OF_MEMORY, "The device is full.");
            }
            if (name.equals("append")) {
              APPENDED.computeIfAbsent(device, d -> new AtomicInteger()).incrementAndGet();
            }
            return result;
          });
    }

    private interface Change {
      Object of(String method, Object result);
    }

    private static <T> T proxy(Class<T> type, T target, Change change) {
      return type.cast(
          Proxy.newProxyInstance(
              type.getClassLoader(),
              new Class<?>[] {type},
              (proxy, method, arguments) -> {
                try {
                  return change.of(method.getName(), method.invoke(target, arguments));
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              }));
    }
  }

  /** Shows the service loader the one backend of this test beside everything else. */
  private static final class OneService extends ClassLoader {
    private static final String FILE =
        "META-INF/services/org.parallelcomp.api.backend.BackendProvider";

    OneService(ClassLoader parent) {
      super(parent);
    }

    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
      return name.equals(FILE)
          ? Collections.enumeration(List.of(text(Guise.class.getName())))
          : super.getResources(name);
    }

    private static URL text(String text) throws IOException {
      return URL.of(
          URI.create("text:/" + FILE),
          new URLStreamHandler() {
            @Override
            protected URLConnection openConnection(URL url) {
              return new URLConnection(url) {
                @Override
                public void connect() {}

                @Override
                public InputStream getInputStream() {
                  return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
                }
              };
            }
          });
    }
  }
}
