package org.parallelcomp.core.policies.chunk;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.ChunkTexts;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * A chunk is worth the more, the more of the question's rare words it holds: BM25 over token ids.
 *
 * <p>The score is {@code Σ idf(t) · f (k1 + 1) / (f + k1 (1 - b + b · length / mean length))} over
 * the question's distinct tokens t, f being how often the chunk has t, and {@code idf(t) = ln(1 +
 * (N - n + ½) / (n + ½))}, n of the N chunks having it. The model is not asked: the control that
 * shows what reading adds to looking up words.
 *
 * <p><i>Based on</i> Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and
 * Beyond, 2009, with the logarithm that Lucene takes.
 *
 * <p>Parameters: {@code k-one} = 1.2; {@code b} = 0.75.
 *
 * <p><i>Differs from the paper in</i> taking the model's tokens for words.
 */
public final class LexicalMatch implements ChunkScorer {
  /** Makes the policy {@code bm25}. */
  public static final PolicyFactory<ChunkScorer> FACTORY =
      new PolicyFactory<>(
          PolicyKind.CHUNK_SCORER,
          "bm25",
          "A chunk is worth the more, the more of the question's rare words it holds.",
          "BM25 over token ids; the model is not asked. Based on Robertson and Zaragoza (2009);"
              + " differs in taking tokens for words.",
          List.of(
              Parameter.number("k-one", 1.2, 0, 100, "", "how soon repetition stops to count"),
              Parameter.number("b", 0.75, 0, 1, "", "how much long chunks are held back")),
          p -> new LexicalMatch(p.number("k-one"), p.number("b")));

  private final double k1;
  private final double b;

  private LexicalMatch(double k1, double b) {
    this.k1 = k1;
    this.b = b;
  }

  @Override
  public Set<Evidence> requires() {
    return Set.of(Evidence.TOKEN_IDS);
  }

  @Override
  public double score(ChunkEvidence evidence) {
    ChunkTexts texts = evidence.texts().orElseThrow();
    int[] chunk = texts.chunks().get(evidence.chunk());
    double meanLength = texts.chunks().stream().mapToInt(ids -> ids.length).average().orElse(1);
    double saturation = k1 * (1 - b + b * chunk.length / meanLength);
    return Arrays.stream(texts.question())
        .distinct()
        .mapToDouble(
            token -> {
              long frequency = count(token, chunk);
              // A token that is not there adds nothing, also where k1 and so the saturation is 0.
              return frequency == 0
                  ? 0
                  : rarity(token, texts.chunks()) * frequency * (k1 + 1) / (frequency + saturation);
            })
        .sum();
  }

  private static double rarity(int token, List<int[]> chunks) {
    long having = chunks.stream().filter(ids -> count(token, ids) > 0).count();
    return Math.log1p((chunks.size() - having + 0.5) / (having + 0.5));
  }

  private static long count(int token, int[] ids) {
    return Arrays.stream(ids).filter(id -> id == token).count();
  }
}
