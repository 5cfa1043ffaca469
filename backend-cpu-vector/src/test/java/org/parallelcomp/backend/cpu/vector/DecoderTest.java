package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.host.HostTensor;

@Tag("kernel")
class DecoderTest {
  private final Fixture f = new Fixture(99);

  @AfterEach
  void close() {
    f.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 64, 96",
    "1, 50, 33",
    "3, 576, 192",
    "16, 40, 7",
    "17, 96, 64",
    "100, 576, 200",
    "207, 250, 33",
    "64, 768, 256"
  })
  void linearMultipliesByTheTransposedWeight(int tokens, int inputDim, int outputDim) {
    float[] in = f.numbers(tokens * inputDim);
    float[] weight = f.numbers(outputDim * inputDim);
    float[] bias = f.numbers(outputDim);
    Tensor out = f.random(tokens, outputDim);
    f.backend
        .decoder()
        .linear(
            out,
            f.tensor(weight, outputDim, inputDim),
            f.tensor(bias, outputDim),
            f.tensor(in, tokens, inputDim));
    f.assertClose(product(in, weight, bias, tokens, inputDim, outputDim), f.floats(out), 1e-5, "");
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 40})
  void linearReadsAndWritesViews(int tokens) {
    Tensor in = f.random(tokens, 3, 64).slice(1, 1, 2).reshape(Shape.of(tokens, 64));
    float[] weight = f.numbers(48 * 64);
    Tensor wide = f.zeros(tokens, 60);
    Tensor out = wide.slice(1, 7, 55);
    f.backend.decoder().linear(out, f.tensor(weight, 48, 64), null, in);
    f.assertClose(
        product(f.floats(in), weight, new float[48], tokens, 64, 48), f.floats(out), 1e-5, "");
    assertArrayEquals(new float[tokens * 7], f.floats(wide.slice(1, 0, 7)));
    assertArrayEquals(new float[tokens * 5], f.floats(wide.slice(1, 55, 60)));
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"F32", "I32"})
  void linearAndEmbedUnpackStoredWeights(DType dtype) {
    Tensor weight = stored(dtype, 70, 512);
    float[] unpacked = f.floats(weight);
    assertTrue(new java.util.HashSet<>(Arrays.asList(box(unpacked))).size() > 10, "no signal");
    for (int tokens : new int[] {1, 5, 50}) {
      float[] in = f.numbers(tokens * 512);
      Tensor out = f.random(tokens, 70);
      f.backend.decoder().linear(out, weight, null, f.tensor(in, tokens, 512));
      f.assertClose(
          product(in, unpacked, new float[70], tokens, 512, 70),
          f.floats(out),
          1e-5,
          dtype + " x " + tokens);
    }
    Tensor rows = f.random(3, 512);
    f.backend.decoder().embed(rows, weight, f.ints(69, 0, 31));
    float[] embedded = f.floats(rows);
    int[] ids = {69, 0, 31};
    for (int i = 0; i < 3; i++) {
      assertArrayEquals(
          Arrays.copyOfRange(unpacked, ids[i] * 512, (ids[i] + 1) * 512),
          Arrays.copyOfRange(embedded, i * 512, (i + 1) * 512));
    }
    assertThrows(
        InferenceException.class,
        () -> f.backend.decoder().embed(f.zeros(1, 512), weight, f.ints(70)));
  }

  @Test
  void unpacksByTheFormatsOfGguf() {
    // Scale 0.5 (0x3800), minimum -2 (0xC000); see the formats' descriptions in DType.
    byte[] q41 = new byte[20];
    q41[1] = 0x38;
    q41[3] = (byte) 0xC0;
    q41[4] = 0x21;
    float[] unpacked = f.floats(stored(DType.Q4_1, q41, 1, 32));
    assertEquals(0.5f * 1 - 2, unpacked[0]);
    assertEquals(0.5f * 2 - 2, unpacked[16]);
    assertEquals(-2, unpacked[1]);
    byte[] q80 = new byte[34];
    q80[1] = 0x38;
    q80[2 + 5] = -3;
    assertEquals(-1.5f, f.floats(stored(DType.Q8_0, q80, 1, 32))[5]);
    byte[] bf16 = {(byte) 0x80, 0x3F, 0x00, (byte) 0xC0};
    assertArrayEquals(new float[] {1, -2}, f.floats(stored(DType.BF16, bf16, 2)));
    byte[] f16 = {0x00, 0x3C, 0x01, 0x00};
    assertArrayEquals(new float[] {1, 0x1p-24f}, f.floats(stored(DType.F16, f16, 2)));
  }

  @ParameterizedTest
  @CsvSource({"1, 576", "7, 33", "100, 64", "40, 250"})
  void rmsNormDividesByTheRootMeanSquare(int tokens, int dim) {
    float[] in = f.numbers(tokens * dim);
    float[] weight = f.numbers(dim);
    double[] expected = new double[in.length];
    for (int row = 0; row < tokens; row++) {
      double squares = 0;
      for (int i = 0; i < dim; i++) {
        squares += (double) in[row * dim + i] * in[row * dim + i];
      }
      for (int i = 0; i < dim; i++) {
        expected[row * dim + i] = in[row * dim + i] / Math.sqrt(squares / dim + 1e-5) * weight[i];
      }
    }
    Tensor inOut = f.tensor(in, tokens, dim);
    f.backend.decoder().rmsNorm(inOut, inOut, f.tensor(weight, dim), 1e-5f);
    f.assertClose(expected, f.floats(inOut), 1e-6, "");
  }

  @ParameterizedTest
  @CsvSource({
    "INTERLEAVED, 32, 32",
    "INTERLEAVED, 64, 40",
    "INTERLEAVED, 20, 10",
    "HALF_SPLIT, 64, 64",
    "HALF_SPLIT, 64, 40",
    "HALF_SPLIT, 20, 10"
  })
  void ropeRotatesPairs(Rope.Style style, int headDim, int rotaryDims) {
    Rope rope = rope(f, style, 50, rotaryDims, 1);
    float[] in = f.numbers(37 * 3 * headDim);
    int[] positions = f.random.ints(37, 0, 50).toArray();
    Tensor inOut = f.tensor(in, 37, 3, headDim);
    f.backend.decoder().rope(inOut, f.ints(positions), rope);
    double[] expected = new double[in.length];
    Arrays.setAll(expected, i -> in[i]);
    int half = rotaryDims / 2;
    for (int row = 0; row < 37 * 3; row++) {
      for (int i = 0; i < half; i++) {
        int a = row * headDim + (style == Rope.Style.INTERLEAVED ? 2 * i : i);
        int b = style == Rope.Style.INTERLEAVED ? a + 1 : a + half;
        double angle = angle(positions[row / 3], i, half);
        expected[a] = in[a] * Math.cos(angle) - in[b] * Math.sin(angle);
        expected[b] = in[a] * Math.sin(angle) + in[b] * Math.cos(angle);
      }
    }
    f.assertClose(expected, f.floats(inOut), 1e-6, "");
    assertThrows(
        InferenceException.class,
        () -> f.backend.decoder().rope(f.zeros(1, 3, headDim), f.ints(50), rope));
  }

  @ParameterizedTest
  @CsvSource({"1, 1536", "3, 7", "50, 2100"})
  void swiGluGates(int tokens, int dim) {
    float[] gate = f.numbers(tokens * dim);
    float[] up = f.numbers(tokens * dim);
    float[] extremes = {-100, 100, -1e30f, 1e30f, 0};
    System.arraycopy(extremes, 0, gate, 0, 5);
    for (int i = 0; i < 5; i++) {
      up[i] = 1;
    }
    double[] expected = new double[gate.length];
    Arrays.setAll(expected, i -> gate[i] / (1 + Math.exp(-gate[i])) * up[i]);
    Tensor inOut = f.tensor(gate, tokens, dim);
    f.backend.decoder().swiGlu(inOut, inOut, f.tensor(up, tokens, dim));
    float[] actual = f.floats(inOut);
    assertEquals(1e30f, actual[3]);
    expected[3] = 0;
    actual[3] = 0;
    f.assertClose(expected, actual, 1e-6, "");
  }

  @Test
  void addAdds() {
    float[] a = f.numbers(40 * 2100);
    float[] b = f.numbers(40 * 2100);
    Tensor inOut = f.tensor(a, 40, 2100);
    f.backend.decoder().add(inOut, f.tensor(b, 40, 2100));
    float[] expected = new float[a.length];
    for (int i = 0; i < a.length; i++) {
      expected[i] = a[i] + b[i];
    }
    assertArrayEquals(expected, f.floats(inOut));
  }

  @ParameterizedTest
  @ValueSource(ints = {5, 4097, 49152})
  void logLikelihoodIsTheLogOfTheSoftmax(int vocab) {
    float[] logits = f.numbers(9 * vocab);
    logits[vocab] = Float.NEGATIVE_INFINITY;
    int[] targets = f.random.ints(9, 1, vocab).toArray();
    double[] expected = new double[9];
    for (int row = 0; row < 9; row++) {
      double sum = 0;
      for (int i = 0; i < vocab; i++) {
        sum += Math.exp(logits[row * vocab + i]);
      }
      expected[row] = logits[row * vocab + targets[row]] - Math.log(sum);
    }
    Tensor out = f.zeros(9);
    f.backend.decoder().tokenLogLikelihood(out, f.tensor(logits, 9, vocab), f.ints(targets));
    f.assertClose(expected, f.floats(out), 1e-6, "seed " + f.seed);
  }

  @ParameterizedTest
  @CsvSource({"1, true", "1, false", "9, true", "50, true", "300, false", "700, true"})
  void fusedBlocksEqualTheirParts(int tokens, boolean extras) {
    Rope rope = rope(f, Rope.Style.HALF_SPLIT, 800, 32, 1);
    AttentionBlock attention =
        new AttentionBlock(
            f.random(96),
            f.random(128, 96),
            extras ? f.random(128) : null,
            f.random(64, 96),
            extras ? f.random(64) : null,
            stored(DType.Q8_0, 64, 96),
            extras ? f.random(64) : null,
            extras ? f.random(32) : null,
            extras ? f.random(32) : null,
            f.random(96, 128),
            extras ? f.random(96) : null,
            1e-5f);
    FeedForwardBlock feedForward =
        new FeedForwardBlock(
            f.random(96), f.random(224, 96), stored(DType.Q4_1, 224, 96), f.random(96, 224), 1e-5f);
    float[] hiddenNumbers = f.numbers(tokens * 96);
    Tensor positions = f.ints(f.random.ints(tokens, 0, 800).toArray());
    Tensor attended = f.random(tokens, 4, 32);
    float[][] results = new float[8][];
    try (Scratch scratch = new Scratch(f.scope)) {
      for (int i = 0; i < 2; i++) {
        var decoder = i == 0 ? f.backend.decoder() : new Composite(f.backend.decoder());
        Tensor hidden = f.tensor(hiddenNumbers, tokens, 96);
        Tensor queries = f.random(tokens, 4, 32);
        Tensor keys = f.random(tokens, 2, 32);
        Tensor values = f.random(tokens, 2, 32);
        decoder.attentionInput(queries, keys, values, attention, hidden, positions, rope, scratch);
        decoder.attentionOutputAndFeedForward(hidden, attended, attention, feedForward, scratch);
        results[i] = f.floats(queries);
        results[2 + i] = f.floats(keys);
        results[4 + i] = f.floats(values);
        results[6 + i] = f.floats(hidden);
      }
    }
    for (int i = 0; i < 8; i += 2) {
      float[] parts = results[i + 1];
      double[] expected = new double[parts.length];
      Arrays.setAll(expected, j -> parts[j]);
      f.assertClose(expected, results[i], 1e-5, "result " + i / 2);
    }
  }

  /** A rotary table whose numbers are times a factor, as some scalings of the frequencies want. */
  static Rope rope(Fixture f, Rope.Style style, int positions, int rotaryDims, double factor) {
    int half = rotaryDims / 2;
    float[] cos = new float[positions * half];
    float[] sin = new float[positions * half];
    for (int i = 0; i < cos.length; i++) {
      cos[i] = (float) (Math.cos(angle(i / half, i % half, half)) * factor);
      sin[i] = (float) (Math.sin(angle(i / half, i % half, half)) * factor);
    }
    return new Rope(style, f.tensor(cos, positions, half), f.tensor(sin, positions, half));
  }

  private static double angle(int position, int pair, int half) {
    return position * Math.pow(10000, -pair / (double) half);
  }

  /** Returns a matrix of random stored bytes with scales that are tame numbers. */
  private Tensor stored(DType dtype, int rows, int columns) {
    byte[] bytes = new byte[(int) dtype.bytes((long) rows * columns)];
    f.random.nextBytes(bytes);
    if (dtype.isBlock()) {
      for (int block = 0; block < bytes.length; block += dtype.blockBytes()) {
        int scales = dtype == DType.Q6_K ? block + 208 : block;
        boolean two =
            switch (dtype) {
              case Q4_1, Q5_1, Q4_K, Q5_K -> true;
              default -> false;
            };
        bytes[scales + 1] = (byte) (0x20 + f.random.nextInt(8));
        if (two) {
          bytes[scales + 3] = (byte) (0xA0 + f.random.nextInt(8));
        }
      }
    } else {
      // The upper byte has the exponent: between 1/16 and 16, of either sign.
      for (int i = 1; i < bytes.length; i += 2) {
        int exponent =
            dtype == DType.F16 ? 0x2C + f.random.nextInt(16) : 0x3E + f.random.nextInt(2);
        bytes[i] = (byte) (exponent | (f.random.nextBoolean() ? 0x80 : 0));
      }
    }
    return stored(dtype, bytes, rows, columns);
  }

  private Tensor stored(DType dtype, byte[] bytes, long... dims) {
    Tensor tensor = f.scope.allocate(dtype, Shape.of(dims));
    java.lang.foreign.MemorySegment.copy(
        bytes,
        0,
        ((HostTensor) tensor).storage(),
        java.lang.foreign.ValueLayout.JAVA_BYTE,
        0,
        bytes.length);
    return tensor;
  }

  private static double[] product(
      float[] in, float[] weight, float[] bias, int tokens, int inputDim, int outputDim) {
    double[] out = new double[tokens * outputDim];
    for (int t = 0; t < tokens; t++) {
      for (int o = 0; o < outputDim; o++) {
        double sum = bias[o];
        for (int i = 0; i < inputDim; i++) {
          sum += (double) in[t * inputDim + i] * weight[o * inputDim + i];
        }
        out[t * outputDim + o] = sum;
      }
    }
    return out;
  }

  private static Float[] box(float[] numbers) {
    Float[] boxed = new Float[numbers.length];
    Arrays.setAll(boxed, i -> numbers[i]);
    return boxed;
  }
}
