package org.parallelcomp.it;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/**
 * Prints what the precisions of the ONNX backend lose against its F32: perplexity of a held-out
 * book read in blocks, and read token by token as an answer is, whose graphs are others; and the
 * mean divergence KL(f32 | precision) of the distributions behind its tokens.
 *
 * <pre>
 * OnnxPrecisionTable MODEL PASSAGES
 * </pre>
 */
final class OnnxPrecisionTable {
  /** Rows of a passage whose distributions are compared. */
  private static final int ROWS = 128;

  /** Tokens that are passed one by one. */
  private static final int DECODED = 768;

  private OnnxPrecisionTable() {}

  public static void main(String[] args) {
    Path model = Path.of(args[0]);
    int passages = Integer.parseInt(args[1]);
    double reference = 0;
    double referenceWhileDecoding = 0;
    float[][] wanted = new float[passages][];
    for (String precision : new String[] {"f32", "int8", "int4"}) {
      try (var heldOut = HeldOutText.open(model, "onnx", Map.of("precision", precision))) {
        double perplexity = heldOut.perplexity(passages);
        double whileDecoding = heldOut.perplexityWhileDecoding(DECODED);
        double divergence = 0;
        for (int passage = 0; passage < passages; passage++) {
          float[] logits = heldOut.lastLogits(passage, ROWS);
          if (precision.equals("f32")) {
            wanted[passage] = logits;
            reference = perplexity;
            referenceWhileDecoding = whileDecoding;
          }
          divergence += divergence(wanted[passage], logits, heldOut.vocab()) / passages;
        }
        System.out.printf(
            Locale.ROOT,
            "| %s | %s | %.4f | %+.2f %% | %.4f | %+.2f %% | %.5f |%n",
            model.getFileName(),
            precision,
            perplexity,
            100 * (perplexity / reference - 1),
            whileDecoding,
            100 * (whileDecoding / referenceWhileDecoding - 1),
            divergence);
      }
    }
  }

  /** The mean over rows of {@code sum p log(p / q)}. */
  private static double divergence(float[] wanted, float[] got, int vocab) {
    double sum = 0;
    int rows = wanted.length / vocab;
    for (int row = 0; row < rows; row++) {
      double ofWanted = logSumExp(wanted, row * vocab, vocab);
      double ofGot = logSumExp(got, row * vocab, vocab);
      for (int i = row * vocab; i < (row + 1) * vocab; i++) {
        double logP = wanted[i] - ofWanted;
        sum += Math.exp(logP) * (logP - (got[i] - ofGot));
      }
    }
    return sum / rows;
  }

  private static double logSumExp(float[] numbers, int from, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = from; i < from + count; i++) {
      max = Math.max(max, numbers[i]);
    }
    double sum = 0;
    for (int i = from; i < from + count; i++) {
      sum += Math.exp(numbers[i] - max);
    }
    return max + Math.log(sum);
  }
}
