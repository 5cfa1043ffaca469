package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.function.BiFunction;
import org.parallelcomp.engine.PassTrace;
import org.parallelcomp.engine.PassTrace.LayerTrace;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.report.AttentionProfile.Stage;

/**
 * What a trace says, in numbers.
 *
 * @param contextTokens tokens of the text that could be kept: those of the kept chunks, or of the
 *     whole text where a cache rolled over it
 * @param keptBy by how many pairs of layer and kv head each token of the text was kept, {@code
 *     [textTokens]}; must not be changed
 * @param layers what each layer did; empty if the request ended before anything was kept
 */
public record Explanation(int contextTokens, int[] keptBy, List<Layer> layers) {
  public Explanation {
    layers = List.copyOf(layers);
  }

  /**
   * One layer.
   *
   * @param keptTokens how many of the {@link Explanation#contextTokens} each kv head kept
   * @param attention where the question's attention went, stage by stage, each on average over the
   *     kept chunks; stages that were not observed are left out, and so are those of budget and
   *     calibration where they took nothing
   */
  public record Layer(List<Integer> keptTokens, List<AttentionProfile> attention) {
    public Layer {
      keptTokens = List.copyOf(keptTokens);
      attention = List.copyOf(attention);
    }
  }

  /** Returns how many pairs of layer and kv head there are. */
  public int pairs() {
    return layers.stream().mapToInt(layer -> layer.keptTokens().size()).sum();
  }

  /** Explains a trace. */
  public static Explanation of(Trace trace) {
    int[] keptBy = new int[trace.fromChar().length];
    PassTrace answer = trace.answerPass();
    if (answer == null) {
      return new Explanation(0, keptBy, List.of());
    }
    var layers = new ArrayList<Layer>();
    for (int layer = 0; layer < answer.layers().size(); layer++) {
      var keptTokens = new ArrayList<Integer>();
      for (BitSet kept : answer.layers().get(layer).kept()) {
        int[] ofText = ofText(answer, kept);
        keptTokens.add(ofText.length);
        // Overlapping chunks may hold a token twice.
        Arrays.stream(ofText).distinct().forEach(token -> keptBy[token]++);
      }
      layers.add(new Layer(keptTokens, attention(trace, answer, layer)));
    }
    int contextTokens = (int) Arrays.stream(answer.textTokens()).filter(t -> t >= 0).count();
    return new Explanation(contextTokens, keptBy, layers);
  }

  private static int[] ofText(PassTrace pass, BitSet tokens) {
    return tokens.stream().map(t -> pass.textTokens()[t]).filter(t -> t >= 0).toArray();
  }

  /**
   * Either each chunk was cut on its own before the question passed behind what stayed, or the
   * question's pass itself is the one that was cut, or nothing was cut while attention was seen.
   */
  private static List<AttentionProfile> attention(Trace trace, PassTrace answer, int layer) {
    var profiles = new ArrayList<AttentionProfile>();
    boolean cutByAnswer = sawMoreThanItKept(answer, answer.layers().get(layer));
    List<PassTrace> cut = cutByAnswer ? List.of(answer) : trace.chunkPasses();
    if (observed(cut, layer)) {
      profiles.add(mean(Stage.READ, cut, layer, Explanation::everything));
      if (differ(cut, layer, Explanation::everything, Explanation::keptByBudget)) {
        profiles.add(mean(Stage.BUDGET, cut, layer, Explanation::keptByBudget));
      }
      if (differ(cut, layer, Explanation::keptByBudget, Explanation::kept)) {
        profiles.add(mean(Stage.CALIBRATED, cut, layer, Explanation::kept));
      }
    }
    if (!cutByAnswer && observed(List.of(answer), layer)) {
      profiles.add(mean(Stage.ANSWER, List.of(answer), layer, Explanation::everything));
    }
    return profiles;
  }

  private static boolean sawMoreThanItKept(PassTrace pass, LayerTrace layer) {
    for (int head = 0; head < layer.attention().length; head++) {
      for (int t = 0; t < pass.contextTokens(); t++) {
        if (layer.attention()[head][pass.prefixTokens() + t] > 0
            && !layer.kept().get(head).get(t)) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean observed(List<PassTrace> passes, int layer) {
    return !passes.isEmpty()
        && passes.stream().allMatch(pass -> pass.layers().get(layer).observed());
  }

  /** Which tokens of the context count in a layer of a pass, per kv head. */
  private interface Counting extends BiFunction<PassTrace, Integer, List<BitSet>> {}

  private static List<BitSet> everything(PassTrace pass, int layer) {
    var all = new BitSet();
    all.set(0, pass.contextTokens());
    return Collections.nCopies(pass.layers().get(layer).kept().size(), all);
  }

  private static List<BitSet> keptByBudget(PassTrace pass, int layer) {
    return pass.layers().get(layer).keptByBudget();
  }

  private static List<BitSet> kept(PassTrace pass, int layer) {
    return pass.layers().get(layer).kept();
  }

  private static boolean differ(List<PassTrace> passes, int layer, Counting a, Counting b) {
    return passes.stream().anyMatch(pass -> !a.apply(pass, layer).equals(b.apply(pass, layer)));
  }

  private static AttentionProfile mean(
      Stage stage, List<PassTrace> passes, int layer, Counting counting) {
    return AttentionProfile.mean(
        passes.stream()
            .map(
                pass ->
                    AttentionProfile.of(
                        stage, pass, pass.layers().get(layer), counting.apply(pass, layer)))
            .toList());
  }
}
