package org.parallelcomp.conformance.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The oracle computes what PyTorch computes in double precision. {@code make_torch_goldens.py}
 * beside the numbers made them.
 */
class TorchGoldensTest {
  /** Of the result's root mean square: what is left is one rounding to single precision. */
  private static final double MOST_ERROR = 1e-6;

  /** The mass starts from a log-sum-exp that is single precision already, some tens large. */
  private static final double MOST_ERROR_OF_MASS = 5e-6;

  private record Golden(DType dtype, Shape shape, int[] bits) {
    float[] floats() {
      float[] floats = new float[bits.length];
      for (int i = 0; i < bits.length; i++) {
        floats[i] = Float.intBitsToFloat(bits[i]);
      }
      return floats;
    }
  }

  private static final Map<String, Map<String, Golden>> CASES = read();

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("goldens");
  private final TensorOps ops = backend.tensorOps(scope);
  private final DecoderOps decoder = backend.decoder();
  private String name = "";

  private static Map<String, Map<String, Golden>> read() {
    var cases = new LinkedHashMap<String, Map<String, Golden>>();
    try (var in = TorchGoldensTest.class.getResourceAsStream("torch-goldens.txt");
        var lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("#")) {
          continue;
        }
        String[] words = line.split(" ");
        long[] dims =
            words[3].equals("-")
                ? new long[0]
                : Arrays.stream(words[3].split("x")).mapToLong(Long::parseLong).toArray();
        int[] bits =
            Arrays.stream(words).skip(4).mapToInt(w -> Integer.parseUnsignedInt(w, 16)).toArray();
        Shape shape = Shape.of(dims);
        assertEquals(shape.elements(), bits.length, words[0] + " " + words[1]);
        cases
            .computeIfAbsent(words[0], c -> new HashMap<>())
            .put(words[1], new Golden(DType.valueOf(words[2]), shape, bits));
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return cases;
  }

  static Set<String> cases() {
    return CASES.keySet();
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private Golden golden(String of) {
    Golden golden = CASES.get(name).get(of);
    if (golden == null) {
      throw new AssertionError(name + " has no " + of);
    }
    return golden;
  }

  private Tensor in(String of) {
    Golden golden = golden(of);
    Tensor tensor = scope.allocate(golden.dtype(), golden.shape());
    if (golden.dtype() == DType.I32) {
      backend.host().copyFromHost(tensor, golden.bits());
    } else {
      backend.host().copyFromHost(tensor, golden.floats());
    }
    return tensor;
  }

  private float number(String of) {
    return golden(of).floats()[0];
  }

  private int integer(String of) {
    return golden(of).bits()[0];
  }

  private Tensor out(String of) {
    return scope.allocate(golden(of).dtype(), golden(of).shape());
  }

  private void assertGolden(String of, Tensor actual) {
    Golden golden = golden(of);
    assertEquals(golden.shape(), actual.shape(), name + " " + of);
    assertEquals(golden.dtype(), actual.dtype(), name + " " + of);
    if (golden.dtype() == DType.I32) {
      assertArrayEquals(golden.bits(), backend.host().copyToHostInts(actual), name + " " + of);
      return;
    }
    float[] expected = golden.floats();
    float[] numbers = backend.host().copyToHostFloats(actual);
    double squares = 0;
    for (float x : expected) {
      squares += Float.isFinite(x) ? (double) x * x : 0;
    }
    double error = operation(name).equals("attentionMass") ? MOST_ERROR_OF_MASS : MOST_ERROR;
    double most = error * Math.sqrt(squares / expected.length);
    for (int i = 0; i < expected.length; i++) {
      double allowed = Math.max(most, error * Math.abs(expected[i]));
      boolean close =
          Float.isFinite(expected[i])
              ? Math.abs((double) numbers[i] - expected[i]) <= allowed
              : Float.compare(numbers[i], expected[i]) == 0;
      assertTrue(
          close, name + " " + of + ", element " + i + ": " + numbers[i] + ", not " + expected[i]);
    }
  }

  private static String operation(String of) {
    return of.substring(0, of.indexOf('/'));
  }

  @Test
  void everyOperationWithNumbersHasAGolden() {
    var expected = new TreeSet<String>();
    for (Class<?> family :
        List.of(TensorOps.class, DecoderOps.class, AttentionOps.class, CacheOps.class)) {
      Stream.of(family.getDeclaredMethods())
          .filter(method -> !method.isSynthetic() && !Modifier.isStatic(method.getModifiers()))
          .map(Method::getName)
          .forEach(expected::add);
    }
    // Both blocks are one case, a merge is held to attention over all keys by rule B411, halves
    // become floats bit for bit by rule B225, and the others compute nothing: they say what the
    // numbers are, or where they go.
    expected.removeAll(
        Set.of(
            "attentionInput",
            "attentionOutputAndFeedForward",
            "mergePartial",
            "logSumExpCosts",
            "floats",
            "full",
            "constant",
            "range",
            "selectWhere",
            "mask",
            "allocate",
            "append",
            "concatenate"));
    var actual = new TreeSet<String>();
    CASES.keySet().forEach(c -> actual.add(operation(c).replace("addInPlace", "add")));
    assertTrue(actual.remove("blocks"), "the goldens have no blocks");
    assertEquals(expected, actual);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theOracleComputesWhatPyTorchComputes(String of) {
    name = of;
    switch (operation(of)) {
      case "add" -> assertGolden("result", ops.add(in("a"), in("b")));
      case "subtract" -> assertGolden("result", ops.subtract(in("a"), in("b")));
      case "multiply" -> assertGolden("result", ops.multiply(in("a"), in("b")));
      case "divide" -> assertGolden("result", ops.divide(in("a"), in("b")));
      case "affine" ->
          assertGolden("result", ops.affine(in("a"), number("factor"), number("term")));
      case "exp" -> assertGolden("result", ops.exp(in("a")));
      case "log" -> assertGolden("result", ops.log(in("a")));
      case "sqrt" -> assertGolden("result", ops.sqrt(in("a")));
      case "greaterThan" -> assertGolden("result", ops.greaterThan(in("a"), number("threshold")));
      case "where" -> assertGolden("result", ops.where(in("mask"), in("a"), in("b")));
      case "sum" -> assertGolden("result", ops.sum(in("a"), integer("axis")));
      case "mean" -> assertGolden("result", ops.mean(in("a"), integer("axis")));
      case "max" -> assertGolden("result", ops.max(in("a"), integer("axis")));
      case "min" -> assertGolden("result", ops.min(in("a"), integer("axis")));
      case "l2Norm" -> assertGolden("result", ops.l2Norm(in("a"), integer("axis")));
      case "softmax" -> assertGolden("result", ops.softmax(in("a")));
      case "matmul" -> assertGolden("result", ops.matmul(in("a"), in("b")));
      case "choleskySolve" -> assertGolden("result", ops.choleskySolve(in("a"), in("b")));
      case "transpose" ->
          assertGolden("result", ops.transpose(in("a"), integer("axis"), integer("other")));
      case "concat" ->
          assertGolden("result", ops.concat(List.of(in("a"), in("b")), integer("axis")));
      case "gather" -> assertGolden("result", ops.gather(in("a"), in("indices")));
      case "averagePool1d" -> assertGolden("result", ops.averagePool1d(in("a"), integer("kernel")));
      case "maxPool1d" -> assertGolden("result", ops.maxPool1d(in("a"), integer("kernel")));
      case "topK" -> assertGolden("result", ops.topK(in("a"), integer("count")));
      case "argMax" -> assertGolden("result", ops.argMax(in("a")));
      case "embed" -> {
        Tensor out = out("result");
        decoder.embed(out, in("table"), in("tokenIds"));
        assertGolden("result", out);
      }
      case "linear" -> {
        Tensor out = out("result");
        Tensor bias = CASES.get(of).containsKey("bias") ? in("bias") : null;
        decoder.linear(out, in("weight"), bias, in("in"));
        assertGolden("result", out);
      }
      case "rmsNorm" -> {
        Tensor out = out("result");
        decoder.rmsNorm(out, in("in"), in("weight"), number("epsilon"));
        assertGolden("result", out);
      }
      case "swiGlu" -> {
        Tensor out = out("result");
        decoder.swiGlu(out, in("gate"), in("up"));
        assertGolden("result", out);
      }
      case "addInPlace" -> {
        Tensor sum = in("a");
        decoder.add(sum, in("b"));
        assertGolden("result", sum);
      }
      case "tokenLogLikelihood" -> {
        Tensor out = out("result");
        decoder.tokenLogLikelihood(out, in("logits"), in("targets"));
        assertGolden("result", out);
      }
      case "rope" -> {
        Tensor heads = in("inOut");
        decoder.rope(heads, in("positions"), rope(style(of)));
        assertGolden("result", heads);
      }
      case "blocks" -> blocks();
      case "attend" -> attend();
      case "attentionMass" -> attentionMass();
      case "compact" -> compact();
      case "rerotate" -> rerotate(style(of));
      default -> throw new AssertionError("no operation " + of);
    }
  }

  private static Rope.Style style(String of) {
    return Rope.Style.valueOf(of.substring(of.indexOf('/') + 1, of.indexOf('-')));
  }

  private Rope rope(Rope.Style style) {
    return new Rope(style, in("cosines"), in("sines"));
  }

  private void blocks() {
    var attention =
        new AttentionBlock(
            in("norm"),
            in("query"),
            in("queryBias"),
            in("key"),
            in("keyBias"),
            in("value"),
            in("valueBias"),
            in("queryNorm"),
            in("keyNorm"),
            in("output"),
            in("outputBias"),
            1e-5f);
    var feedForward =
        new FeedForwardBlock(in("feedForwardNorm"), in("gate"), in("up"), in("down"), 1e-5f);
    Tensor queries = out("queries");
    Tensor keys = out("keys");
    Tensor values = out("values");
    Tensor hidden = in("hidden");
    try (Scratch scratch = new Scratch(scope)) {
      decoder.attentionInput(
          queries,
          keys,
          values,
          attention,
          hidden,
          in("positions"),
          rope(Rope.Style.HALF_SPLIT),
          scratch);
      decoder.attentionOutputAndFeedForward(
          hidden, in("attended"), attention, feedForward, scratch);
    }
    assertGolden("queries", queries);
    assertGolden("keys", keys);
    assertGolden("values", values);
    assertGolden("result", hidden);
  }

  private KvLayer layer(Tensor keys, Tensor values, Tensor positions) {
    int[] capacities = new int[keys.shape().intDim(1)];
    Arrays.fill(capacities, keys.shape().intDim(0) + 1);
    KvLayer layer = backend.cache().allocate(scope, DType.F32, capacities, keys.shape().intDim(2));
    backend.cache().append(layer, keys, values, positions);
    return layer;
  }

  private KvLayer layer() {
    Tensor keys = in("keys");
    Tensor positions = scope.allocate(DType.I32, Shape.of(keys.shape().dim(0)));
    return layer(keys, in("values"), positions);
  }

  private void attend() {
    Tensor queries = in("queries");
    Tensor out = out("out");
    Tensor logSumExp = out("logSumExp");
    var sequence = AttendSequence.causal(0, queries.shape().intDim(0), layer());
    backend.attention().attend(out, logSumExp, queries, number("scale"), List.of(sequence));
    assertGolden("out", out);
    assertGolden("logSumExp", logSumExp);
  }

  private void attentionMass() {
    Tensor queries = in("queries");
    Tensor out = scope.allocate(DType.F32, queries.shape());
    Tensor logSumExp =
        scope.allocate(DType.F32, Shape.of(queries.shape().dim(1), queries.shape().dim(0)));
    var sequence = AttendSequence.causal(0, queries.shape().intDim(0), layer());
    backend.attention().attend(out, logSumExp, queries, number("scale"), List.of(sequence));
    for (HeadReduction reduction : HeadReduction.values()) {
      Tensor mass = out(reduction.name());
      backend
          .attention()
          .attentionMass(
              mass,
              queries,
              logSumExp,
              number("scale"),
              sequence,
              integer("window"),
              integer("first"),
              integer("end"),
              reduction);
      assertGolden(reduction.name(), mass);
    }
  }

  private void compact() {
    KvLayer source = layer(in("keys"), in("values"), in("positions"));
    var selection = TokenSelection.of(integer("tokens"), golden("kept").bits(), in("indices"));
    KvLayer kept = backend.cache().compact(scope, source, integer("fromToken"), selection);
    assertGolden("resultKeys", kept.keys());
    assertGolden("resultPositions", kept.positions());
  }

  private void rerotate(Rope.Style style) {
    Tensor keys = in("keys");
    KvLayer full = layer(keys, keys, in("positions"));
    KvLayer layer =
        backend
            .cache()
            .compact(
                scope,
                full,
                0,
                TokenSelection.everything(keys.shape().intDim(1), keys.shape().intDim(0)));
    backend.cache().rerotate(layer, integer("first"), rope(style));
    assertGolden("result", layer.keys());
    assertGolden("resultPositions", layer.positions());
  }
}
