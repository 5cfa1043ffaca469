package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.BitSet;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.conformance.asserting.AssertingBackendProvider;
import org.parallelcomp.conformance.reference.ReferenceBackendProvider;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

/**
 * The rules of docs/spec/end-to-end.md: every usable backend answers every preset on the bundled
 * model as the reference backend did. That one is too slow to run in every build, so its decisions
 * are recorded, one file for each preset; {@code -DendToEnd.write=true} records them anew.
 */
class EndToEndTest {
  private static final Path GOLDENS = Path.of("src/test/resources/end-to-end");
  private static final boolean WRITE = Boolean.getBoolean("endToEnd.write");
  private static final String QUESTION = "Where does Mira keep the silver key?";

  /**
   * Options of backends that by default round activations to 8 bits where weights are
   * block-quantised, as the contract allows: on the bundled model, whose weights are Q8_0, they
   * would decide otherwise near the threshold. So they are asked to compute in single precision.
   */
  private static final Map<String, Map<String, String>> WITHOUT_ROUNDING =
      Map.of("onnx", Map.of("precision", "f32"));

  /** Every so many logits are compared, and all of the greatest. */
  private static final int EVERY = 16;

  /** How far a logit may be off, of the spread of all of them: the error of the cache's types. */
  private static final double LOGIT_TOLERANCE = 1e-3;

  private static Observed observed;

  /** What the service loader finds while an engine is opened here. */
  public static final class Chosen implements BackendProvider {
    /** Creates the provider; called by the service loader. */
    public Chosen() {}

    @Override
    public String id() {
      return observed.id();
    }

    @Override
    public String summary() {
      return observed.summary();
    }

    @Override
    public Availability probe() {
      return observed.probe();
    }

    @Override
    public Backend open(BackendConfig config) {
      return observed.open(config);
    }
  }

  private static final class OneBackend extends ClassLoader {
    OneBackend(ClassLoader parent) {
      super(parent);
    }

    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
      return name.equals("META-INF/services/" + BackendProvider.class.getName())
          ? super.getResources("end-to-end/service")
          : super.getResources(name);
    }
  }

  /** Opens the bundled model on a backend that is heard. */
  private static Engine open(BackendProvider backend) throws IOException {
    Path model = Needle6m.path();
    observed = new Observed(backend, Engine.inspect(model));
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    thread.setContextClassLoader(new OneBackend(before));
    try {
      return Engine.open(
          EngineConfig.of(model)
              .withBackend(backend.id())
              .withBackendOptions(WITHOUT_ROUNDING.getOrDefault(backend.id(), Map.of())));
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static List<BackendProvider> backends() {
    return WRITE
        ? List.of(new ReferenceBackendProvider())
        : ServiceLoader.load(BackendProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(backend -> backend.probe() instanceof Availability.Usable)
            .toList();
  }

  /** A text of some chunks of 60 tokens. */
  private static String text() {
    String book = MobyDick.text().substring(60_000, 60_560);
    int at = book.indexOf(". ", 200) + 2;
    return book.substring(0, at)
        + "Mira keeps the silver key in the lighthouse. "
        + book.substring(at);
  }

  /** The preset on a small scale, so that the text has several chunks and budgets cut. */
  private static Plan small(Plan plan) {
    Plan small = plan;
    if (plan.policy(PolicyKind.CHUNKING).name().equals("even")) {
      small = small.with(PolicyKind.CHUNKING, "tokens", 60);
    }
    if (plan.policy(PolicyKind.BUDGET).name().equals("tokens")) {
      small = small.with(PolicyKind.BUDGET, "keep", 20);
    }
    return small;
  }

  @TestFactory
  Stream<DynamicTest> presetsDecideAsOnTheReferenceBackend() {
    return backends().stream()
        .flatMap(
            backend ->
                Engine.policies().presets().stream()
                    .map(
                        preset ->
                            DynamicTest.dynamicTest(
                                backend.id() + " " + preset.name(), () -> check(backend, preset))));
  }

  private static void check(BackendProvider backend, Preset preset) throws IOException {
    Map<String, String> decided;
    Map<String, BitSet> near = new TreeMap<>();
    try (Engine engine = open(backend)) {
      decided = decide(engine, small(preset.plan()), text());
    }
    Path golden = GOLDENS.resolve(preset.name() + ".txt");
    if (WRITE) {
      var lines = new ArrayList<String>();
      decided.forEach((name, value) -> lines.add(name + " " + value));
      Files.createDirectories(GOLDENS);
      Files.write(golden, lines);
      return;
    }
    var expected = new TreeMap<String, String>();
    for (String line : Files.readAllLines(golden)) {
      int space = line.indexOf(' ');
      expected.put(line.substring(0, space), line.substring(space + 1));
    }
    expected.forEach(
        (name, value) -> {
          if (name.startsWith("near-")) {
            near.put(name.substring("near-".length()), bits(value));
          }
        });
    assertEquals(expected.get("chunks"), decided.get("chunks"), "E101: kept chunks");
    int ties = 0;
    for (Map.Entry<String, String> each : expected.entrySet()) {
      if (each.getKey().startsWith("cut-")) {
        BitSet different = bits(each.getValue());
        different.xor(bits(decided.getOrDefault(each.getKey(), "")));
        ties += different.cardinality();
        different.andNot(near.get(each.getKey()));
        assertTrue(
            different.isEmpty(), "E102: " + each.getKey() + " differs without a tie: " + different);
      }
    }
    assertEquals(count(expected), count(decided), "E102: cuts");
    assertLogits(expected.get("logits"), decided.get("logits"));
    assertEquals(expected.get("answer"), decided.get("answer"), "E104: answer");
    System.out.println(
        backend.id() + " " + preset.name() + ": as the reference, " + ties + " ties otherwise");
  }

  private static long count(Map<String, String> decisions) {
    return decisions.keySet().stream().filter(name -> name.startsWith("cut-")).count();
  }

  /** Asks, and returns all decisions by name. */
  private static Map<String, String> decide(Engine engine, Plan plan, String text) {
    observed.clear();
    GenerationResult result =
        engine.generate(
            GenerationRequest.ask(text, QUESTION).withMaxTokens(6).withPlan(plan), TokenSink.NONE);
    var decided = new TreeMap<String, String>();
    decided.put("answer", result.answer().replace("\n", "\\n"));
    decided.put("chunks", result.citations().stream().map(Citation::chunk).toList().toString());
    for (int cut = 0; cut < observed.cuts().size(); cut++) {
      Observed.Cut heard = observed.cuts().get(cut);
      for (int h = 0; h < heard.kept().size(); h++) {
        String name = String.format(Locale.ROOT, "cut-%04d-head-%d", cut, h);
        decided.put(name, text(heard.kept().get(h)));
        decided.put("near-" + name, text(heard.near().get(h)));
      }
    }
    decided.put("logits", logits(observed.logits()));
    return decided;
  }

  private static String text(BitSet bits) {
    return Base64.getEncoder().encodeToString(bits.toByteArray());
  }

  private static BitSet bits(String text) {
    return BitSet.valueOf(Base64.getDecoder().decode(text));
  }

  private static String logits(float[] logits) {
    var text = new StringBuilder();
    for (int i = 0; i < logits.length; i += EVERY) {
      text.append(String.format(Locale.ROOT, "%.5f ", logits[i]));
    }
    return text.toString().strip();
  }

  private static void assertLogits(String wanted, String got) {
    double[] reference =
        Arrays.stream(wanted.split(" ")).mapToDouble(Double::parseDouble).toArray();
    double[] ours = Arrays.stream(got.split(" ")).mapToDouble(Double::parseDouble).toArray();
    double spread =
        Arrays.stream(reference).max().orElseThrow() - Arrays.stream(reference).min().orElseThrow();
    assertArrayEquals(reference, ours, LOGIT_TOLERANCE * spread, "E103: logits");
  }

  // ---- laws that need no reference ----

  private static BackendProvider best() {
    return backends().getFirst();
  }

  @Test
  void aBudgetOfEverythingIsTheIdentityBitForBit() throws IOException {
    try (Engine engine = open(best())) {
      Plan plan =
          small(engine.plan("parallelcomp")).with(PolicyKind.BUDGET, PolicySpec.of("everything"));
      decide(engine, plan, text());
      float[] uncut = observed.logits();
      for (String budget : List.of("tokens(keep=100000)", "fraction(keep=1.0)")) {
        decide(engine, plan.with(PolicyKind.BUDGET, PolicySpec.parse(budget)), text());
        assertArrayEquals(uncut, observed.logits(), "E201: " + budget);
      }
      decide(engine, plan.with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=9)")), text());
      assertTrue(!Arrays.equals(uncut, observed.logits()), "a small budget must show");
    }
  }

  @Test
  void aTextBelowEveryLimitIsReadAsByPlainAttention() throws IOException {
    String text = "It was night. Mira keeps the silver key in the lighthouse.";
    try (Engine engine = open(best())) {
      decide(engine, engine.plan("full"), text);
      float[] plain = observed.logits();
      decide(engine, engine.plan("snapkv"), text);
      assertArrayEquals(plain, observed.logits(), "E202");
    }
  }

  @Test
  void noRequestShowsInTheNext() throws IOException {
    try (Engine engine = open(best())) {
      Plan plan = small(engine.plan("parallelcomp"));
      decide(engine, plan, text());
      float[] first = observed.logits();
      for (Preset preset : Engine.policies().presets()) {
        decide(engine, small(preset.plan()), text().substring(150));
      }
      decide(engine, plan, text());
      assertArrayEquals(first, observed.logits(), "E203");
    }
  }

  @Test
  void theKeptBytesAreThoseOfTheKeptTokens() throws IOException {
    try (Engine engine = open(best())) {
      Plan plan = small(engine.plan("parallelcomp"));
      GenerationResult result =
          engine.generate(
              GenerationRequest.ask(text(), QUESTION).withMaxTokens(2).withPlan(plan),
              TokenSink.NONE);
      long tokenBytes = engine.model().cacheBytesPerToken();
      int prompt = result.figures().promptTokens();
      long planned = tokenBytes * (20L * result.figures().keptChunks() + prompt);
      assertTrue(
          result.figures().keptCacheBytes() <= planned,
          "E204: " + result.figures() + ", planned " + planned);
    }
  }

  @Test
  void threadsThatShareAnEngineGetTheAnswersThatTheyGetAlone() throws Exception {
    assertInstanceOf(AssertingBackendProvider.class, best());
    List<Plan> plans =
        Engine.policies().presets().stream().limit(4).map(preset -> small(preset.plan())).toList();
    try (Engine engine = open(best());
        var threads = Executors.newFixedThreadPool(plans.size())) {
      List<GenerationResult> alone = plans.stream().map(plan -> ask(engine, plan)).toList();
      List<Callable<GenerationResult>> calls = new ArrayList<>();
      plans.forEach(plan -> calls.add(() -> ask(engine, plan)));
      List<Future<GenerationResult>> atOnce = threads.invokeAll(calls);
      for (int i = 0; i < plans.size(); i++) {
        GenerationResult result = atOnce.get(i).get();
        assertEquals(alone.get(i).tokenIds(), result.tokenIds(), "E301: " + plans.get(i));
        assertEquals(alone.get(i).citations(), result.citations(), "E301: " + plans.get(i));
      }
    }
  }

  @Test
  void scopesEndBeforeTheirBackendAlsoBehindARefusal() throws IOException {
    assertInstanceOf(AssertingBackendProvider.class, best());
    Engine engine = open(best());
    ask(engine, small(engine.plan("parallelcomp")));
    assertThrows(
        InferenceException.class,
        () -> engine.generate(GenerationRequest.ask("", QUESTION), TokenSink.NONE),
        "E302: an empty text");
    // The guard before the backend throws where a scope is still open.
    assertDoesNotThrow(engine::close, "E302");
  }

  private static GenerationResult ask(Engine engine, Plan plan) {
    return engine.generate(
        GenerationRequest.ask(text(), QUESTION).withMaxTokens(6).withPlan(plan), TokenSink.NONE);
  }

  @Test
  void everyWrittenRuleIsNamedByATest() throws IOException {
    String spec = Files.readString(Path.of("../docs/spec/end-to-end.md"));
    String source =
        Files.readString(Path.of("src/test/java/org/parallelcomp/it/EndToEndTest.java"));
    List<String> rules =
        Pattern.compile("^\\| (E\\d{3}) \\|", Pattern.MULTILINE)
            .matcher(spec)
            .results()
            .map(rule -> rule.group(1))
            .toList();
    assertEquals(10, rules.size());
    rules.forEach(rule -> assertTrue(source.contains("\"" + rule), rule + " has no test"));
  }
}
