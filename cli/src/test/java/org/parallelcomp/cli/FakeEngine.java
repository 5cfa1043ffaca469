package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Availability.Reason;
import org.parallelcomp.api.backend.Availability.Unusable;
import org.parallelcomp.api.backend.Availability.Usable;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.PrefillMode;
import org.parallelcomp.api.policy.Preset;
import org.parallelcomp.engine.BackendStatus;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.FinishReason;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.ModelInfo;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.Trace;

/** Stands where the engine stands: notes what it is asked, answers from its fields. */
final class FakeEngine implements EngineAccess {
  static final String TEXT =
      "It was a cloudy afternoon. Mira keeps the silver key in the lighthouse. The sea was calm.";

  final List<EngineConfig> opened = new ArrayList<>();
  final List<GenerationRequest> requests = new ArrayList<>();
  int closed;
  @Nullable Throwable failure;
  FinishReason finishReason = FinishReason.STOP_TOKEN;
  List<BackendStatus> backends =
      List.of(
          new BackendStatus(
              "cpu-vector", "The processor.", new Usable(50, "512-bit, 2 threads"), "module a"),
          new BackendStatus(
              "cuda",
              "NVIDIA GPUs.",
              new Unusable(
                  List.of(
                      new Reason("libcuda.so was not found", "install a driver"),
                      new Reason("no native access", "pass --enable-native-access"))),
              "module b"));

  @Override
  public Opened open(EngineConfig config) {
    opened.add(config);
    return new FakeOpened();
  }

  @Override
  public List<BackendStatus> backends() {
    return backends;
  }

  @Override
  public PolicyCatalog policies(@Nullable Path plugins) {
    var kinds = new EnumMap<PolicyKind, PolicySpec>(PolicyKind.class);
    var none = new ArrayList<PolicyFactory<?>>();
    none.add(
        policy(
            PolicyKind.CHUNKING,
            "even",
            Parameter.integer("tokens", 512, 0, "tokens", "longest chunk")));
    none.add(
        policy(
            PolicyKind.CHUNK_EVICTION,
            "best",
            Parameter.integer("chunks", 1, 1, "chunks", "how many stay")));
    none.add(
        policy(PolicyKind.BUDGET, "tokens", Parameter.integer("keep", 256, 1, "tokens", "kept")));
    none.add(
        policy(
            PolicyKind.TOKEN_SCORER,
            "window-attention",
            Parameter.integer("window", 8, 1, "tokens", "last tokens"),
            Parameter.integer("pool", 21, 1, "tokens", "neighbourhood")));
    none.add(policy(PolicyKind.TOKEN_SCORER, "none"));
    for (PolicyKind kind : PolicyKind.values()) {
      if (none.stream().noneMatch(policy -> policy.kind() == kind)) {
        none.add(policy(kind, "plain"));
      }
      kinds.put(
          kind,
          PolicySpec.of(
              none.stream().filter(p -> p.kind() == kind).findFirst().orElseThrow().name()));
    }
    return new PolicyCatalog(
        none,
        List.of(
            new Preset("The default.", new Plan("parallelcomp", PrefillMode.PARALLEL, true, kinds)),
            new Preset(
                "Plain attention.",
                new Plan("full", PrefillMode.PARALLEL, false, kinds)
                    .with(PolicyKind.TOKEN_SCORER, PolicySpec.of("none")))));
  }

  private static PolicyFactory<?> policy(PolicyKind kind, String name, Parameter... parameters) {
    return new PolicyFactory<>(
        kind, name, "Summary of " + name + ".", "Description.", List.of(parameters), p -> p);
  }

  @Override
  public ModelInfo inspect(Path model) {
    return new ModelInfo(
        "needle-6m",
        "GGUF v3",
        "llama",
        5_770_496,
        6_138_112,
        6,
        256,
        8,
        4,
        32,
        768,
        4096,
        2048,
        6144,
        Map.of("Q8_0", 6_131_712L, "F32", 6_400L),
        "byte-level BPE",
        "",
        List.of(0, 2),
        new PromptForm("", "\n{question}", ""));
  }

  @Override
  public String readText(Path file) {
    if (file.toString().equals("absent.txt")) {
      throw new InferenceException(ErrorCode.FILE_NOT_READABLE, "There is no file absent.txt.");
    }
    return TEXT;
  }

  @Override
  public Path bundledModel() {
    return Path.of("bundled.gguf");
  }

  /** Returns the result that every request gets. */
  GenerationResult result(GenerationRequest request) {
    var plan = request.plan() == null ? policies(null).preset("full").plan() : request.plan();
    var form = request.form() == null ? PromptForm.DEFAULT : request.form();
    return new GenerationResult(
        "in the lighthouse",
        List.of(5, 6, 7),
        request.cancellation().isCancelled() ? FinishReason.CANCELLED : finishReason,
        List.of(
            new Citation(2, 1000, 1021, 6, Double.NaN, List.of(6.0), "Call me\nIshmael. Now."),
            new Citation(7, 12_000, 12_089, 20, 0.25, List.of(20.0, 10.5), TEXT)),
        new Figures(
            131_072,
            30,
            140_000,
            3,
            70,
            2,
            805_000_000L,
            1_500_000L,
            500_000_000L,
            10_000_000_000L,
            0L,
            20_000_000L,
            10_600_000_000L),
        new CacheReport(
            CacheReport.Compression.APPLIED,
            List.of(new CacheReport.Layer(List.of(20, 1), 5376)),
            9_000,
            2),
        plan,
        form,
        request.sampling(),
        "needle-6m",
        "cpu-vector",
        List.of("The text is short."),
        request.traced() ? trace() : null);
  }

  /** Two tokens of {@link #TEXT} in two chunks, of which one layer with two heads kept one. */
  private static Trace trace() {
    var second = new BitSet();
    second.set(1);
    var layer =
        new LayerTrace(
            1,
            new float[][] {{.25f, 0, .5f, .25f}, {.25f, 0, .5f, .25f}},
            List.of(second, second),
            List.of(second, new BitSet()));
    return new Trace(
        List.of(
            new Trace.ChunkTrace(0, 0, 1, -2, 2, false),
            new Trace.ChunkTrace(1, 1, 2, -0.25, 0.25, true)),
        new int[] {0, 27},
        new int[] {27, TEXT.length()},
        List.of(),
        new PassTrace(1, new int[] {0, 1}, 1, List.of(layer)));
  }

  private final class FakeOpened implements Opened {
    @Override
    public Plan plan(String preset) {
      return policies(null).preset(preset).plan();
    }

    @Override
    public ModelInfo model() {
      return inspect(Path.of(""));
    }

    @Override
    public BackendInfo backend() {
      return new BackendInfo("cpu-vector", "a processor", 2, 1L << 34, 1L << 33, Map.of("a", "b"));
    }

    @Override
    public GenerationResult generate(GenerationRequest request, TokenSink sink) {
      requests.add(request);
      switch (failure) {
        case null -> {}
        case Error e -> throw e;
        case RuntimeException e -> throw e;
        default -> throw new AssertionError(failure);
      }
      sink.onWarning("The text is short.");
      sink.onProgress(new Progress(Progress.Phase.PREFILL, 35, 70, 65_000, 5_000_000_000L));
      sink.onText("in the ");
      sink.onText("lighthouse");
      return result(request);
    }

    @Override
    public void close() {
      closed++;
    }
  }
}
