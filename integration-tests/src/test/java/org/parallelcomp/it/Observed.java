package org.parallelcomp.it;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.ModelInfo;

/**
 * Hears at the seam between engine and backend what a request decides: which tokens each layer and
 * head keeps, by which scores, and the logits from which the answer begins.
 */
final class Observed implements BackendProvider {
  /**
   * One cut of a layer.
   *
   * @param tokens how many there were to choose from
   * @param kept the kept positions of each head
   * @param near positions of each head whose scores lie so near to the least one kept that another
   *     order of summation may decide otherwise
   */
  record Cut(int tokens, List<BitSet> kept, List<BitSet> near) {}

  /** How far, of the spread of the scores, two scores may lie apart and count as a tie. */
  private static final double TIE = 1e-4;

  private final BackendProvider real;
  private final int vocab;
  private final int layers;
  private final List<LayerPass> passes = new ArrayList<>();
  private float[] logits = new float[0];
  private float @Nullable [] scores;

  /** What a layer was asked for while sequences passed through it. */
  private static final class LayerPass {
    private final List<Cut> cuts = new ArrayList<>();
    private int sequences;

    /** Returns the cuts of one of the sequences. */
    List<Cut> cutsOf(int sequence) {
      int each = cuts.size() / sequences;
      return cuts.subList(sequence * each, (sequence + 1) * each);
    }
  }

  Observed(BackendProvider real, ModelInfo model) {
    this.real = real;
    this.vocab = model.vocab();
    this.layers = model.layers();
  }

  /**
   * Returns the cuts since the last request began: sequence after sequence and, of each, layer
   * after layer, also where several sequences passed through the layers together.
   */
  List<Cut> cuts() {
    var cuts = new ArrayList<Cut>();
    for (int first = 0; first < passes.size(); first += layers) {
      List<LayerPass> pass = passes.subList(first, first + layers);
      for (int sequence = 0; sequence < pass.getFirst().sequences; sequence++) {
        for (LayerPass layer : pass) {
          cuts.addAll(layer.cutsOf(sequence));
        }
      }
    }
    return cuts;
  }

  /** Returns the first row of logits that crossed to the host, or whose greatest was asked for. */
  float[] logits() {
    return logits;
  }

  /** Forgets all, before the next request. */
  void clear() {
    passes.clear();
    logits = new float[0];
    scores = null;
  }

  @Override
  public String id() {
    return real.id();
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
    Backend backend = real.open(config);
    return listening(
        Backend.class,
        backend,
        (method, arguments) ->
            switch (method.getName()) {
              case "host" -> hostOf(backend);
              case "cache" -> cacheOf(backend);
              case "decoder" -> decoderOf(backend);
              case "tensorOps" -> opsOf(backend, (MemoryScope) arguments[0]);
              default -> invoke(backend, method, arguments);
            });
  }

  private HostTransfer hostOf(Backend backend) {
    return hearing(
        HostTransfer.class,
        backend.host(),
        (method, exchanged) -> {
          if (exchanged.result() instanceof float[] numbers) {
            hearLogits(numbers);
          }
        });
  }

  private TensorOps opsOf(Backend backend, MemoryScope results) {
    return hearing(
        TensorOps.class,
        backend.tensorOps(results),
        (method, exchanged) -> {
          if (method.getName().equals("topK")) {
            scores = backend.host().copyToHostFloats((Tensor) exchanged.arguments()[0]);
          } else if (method.getName().equals("argMax")) {
            hearLogits(backend.host().copyToHostFloats((Tensor) exchanged.arguments()[0]));
          }
        });
  }

  private void hearLogits(float[] numbers) {
    if (numbers.length == vocab && logits.length == 0) {
      logits = numbers.clone();
    }
  }

  private DecoderOps decoderOf(Backend backend) {
    return hearing(
        DecoderOps.class,
        backend.decoder(),
        (method, exchanged) -> {
          if (method.getName().equals("attentionInput")) {
            passes.add(new LayerPass());
          }
        });
  }

  private CacheOps cacheOf(Backend backend) {
    return hearing(
        CacheOps.class,
        backend.cache(),
        (method, exchanged) -> {
          if (method.getName().equals("append")) {
            passes.getLast().sequences++;
          } else if (method.getName().equals("compact")) {
            note(backend, (TokenSelection) exchanged.arguments()[3]);
          }
        });
  }

  private void note(Backend backend, TokenSelection selection) {
    int tokens = selection.tokens();
    int[] all = selection.indices().map(backend.host()::copyToHostInts).orElse(null);
    var kept = new ArrayList<BitSet>();
    var near = new ArrayList<BitSet>();
    int from = 0;
    for (int h = 0; h < selection.kvHeads(); h++) {
      var ofHead = new BitSet();
      for (int i = 0; i < selection.keptTokens(h); i++) {
        ofHead.set(all == null ? i : all[from + i]);
      }
      from += selection.keptTokens(h);
      kept.add(ofHead);
      boolean known = scores != null && scores.length == tokens * selection.kvHeads();
      near.add(
          known && all != null
              ? near(Arrays.copyOfRange(scores, h * tokens, (h + 1) * tokens), ofHead)
              : new BitSet());
    }
    passes.getLast().cuts.add(new Cut(tokens, kept, near));
    scores = null;
  }

  private static BitSet near(float[] scores, BitSet kept) {
    var near = new BitSet();
    double least = kept.stream().mapToDouble(t -> scores[t]).min().orElse(Double.NaN);
    double most = Double.NEGATIVE_INFINITY;
    double lowest = Double.POSITIVE_INFINITY;
    for (float score : scores) {
      most = Float.isFinite(score) ? Math.max(most, score) : most;
      lowest = Float.isFinite(score) ? Math.min(lowest, score) : lowest;
    }
    for (int t = 0; t < scores.length; t++) {
      if (Math.abs(scores[t] - least) <= TIE * (most - lowest)) {
        near.set(t);
      }
    }
    return near;
  }

  private record Exchanged(Object[] arguments, @Nullable Object result) {}

  @FunctionalInterface
  private interface Answering {
    @Nullable Object answer(Method method, Object[] arguments) throws Throwable;
  }

  private static <T> T hearing(Class<T> type, T target, BiConsumer<Method, Exchanged> ear) {
    return listening(
        type,
        target,
        (method, arguments) -> {
          Object result = invoke(target, method, arguments);
          ear.accept(method, new Exchanged(arguments, result));
          return result;
        });
  }

  private static <T> T listening(Class<T> type, T target, Answering answering) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> answering.answer(method, arguments)));
  }

  private static @Nullable Object invoke(Object target, Method method, Object[] arguments)
      throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
