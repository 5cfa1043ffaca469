package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntConsumer;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** One backend with seeded data: two benches of the same seed hand out the same numbers. */
final class Bench implements AutoCloseable {
  /** Stands around every output and every view; nothing may read it with effect or write it. */
  private static final float GUARD = -7.25e20f;

  /** Odd, so that rows of a view start at no round address. */
  private static final int INNER_GAP = 5;

  private record Guarded(Tensor parent, Tensor view) {}

  private final Backend backend;
  private final MemoryScope scope;
  private final Path files;
  private final SplittableRandom random;
  private final List<Guarded> guarded = new ArrayList<>();

  Bench(Backend backend, Path files, long seed) {
    this.backend = backend;
    this.scope = backend.openScope("bench");
    this.files = files;
    this.random = new SplittableRandom(seed);
  }

  Backend backend() {
    return backend;
  }

  MemoryScope scope() {
    return scope;
  }

  TensorOps ops() {
    return backend.tensorOps(scope);
  }

  DecoderOps decoder() {
    return backend.decoder();
  }

  AttentionOps attention() {
    return backend.attention();
  }

  CacheOps cache() {
    return backend.cache();
  }

  int integer(int bound) {
    return random.nextInt(bound);
  }

  // ---- inputs ----

  Tensor floats(float[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  Tensor ints(int[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.I32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  /** Returns normally distributed numbers, one in fifty an outlier. */
  Tensor normal(long... dims) {
    return floats(numbers(Shape.of(dims).elements()), dims);
  }

  /** Returns symmetric positive definite matrices: {@code x xᵀ / n + 1/2} of normal x. */
  Tensor positiveDefinite(int matrices, int n) {
    float[] numbers = new float[matrices * n * n];
    for (int matrix = 0; matrix < matrices; matrix++) {
      float[] x = numbers((long) n * n);
      for (int i = 0; i < n * n; i++) {
        double sum = i / n == i % n ? 0.5 : 0;
        for (int k = 0; k < n; k++) {
          sum += (double) x[i / n * n + k] * x[i % n * n + k] / n;
        }
        numbers[matrix * n * n + i] = (float) sum;
      }
    }
    return floats(numbers, matrices, n, n);
  }

  /** Returns whole numbers of a narrow range, so that many are equal; perhaps with NaN. */
  Tensor coarse(boolean withNan, long... dims) {
    float[] numbers = new float[Math.toIntExact(Shape.of(dims).elements())];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = withNan && random.nextInt(9) == 0 ? Float.NaN : random.nextInt(5) - 2;
    }
    return floats(numbers, dims);
  }

  /** Returns a view with gaps along every axis and foreign numbers on all sides. */
  Tensor view(long... dims) {
    return guardedView(numbers(Shape.of(dims).elements()), dims);
  }

  private float[] numbers(long count) {
    float[] numbers = new float[Math.toIntExact(count)];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) (random.nextGaussian() * (random.nextInt(50) == 0 ? 10 : 1));
    }
    return numbers;
  }

  /** Returns a matrix of a file's type. Its bytes start at an offset, as in a model file. */
  Tensor weight(DType dtype, long rows, long columns) {
    Shape shape = Shape.of(rows, columns);
    byte[] bytes = WeightBytes.random(dtype, Math.toIntExact(shape.elements()), random);
    Path file = files.resolve(dtype + "-" + rows + "x" + columns + "-" + Arrays.hashCode(bytes));
    int offset = 96;
    try {
      if (!Files.exists(file)) {
        byte[] all = new byte[offset + bytes.length + 32];
        System.arraycopy(bytes, 0, all, offset, bytes.length);
        Files.write(file, all);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return backend.load(scope, new FileRegion(file, offset, bytes.length), dtype, shape);
  }

  /** Returns a file of these bytes. */
  Path file(byte[] bytes) {
    try {
      return Files.write(files.resolve("bytes-" + Arrays.hashCode(bytes)), bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns a rotation table over {@code positions} of {@code rotaryDims} dimensions. */
  Rope rope(Rope.Style style, int positions, int rotaryDims) {
    return rope(style, positions, rotaryDims, 1);
  }

  /** Returns a table that also stretches what it turns, as that of YaRN (arXiv 2309.00071). */
  Rope rope(Rope.Style style, int positions, int rotaryDims, double stretch) {
    float[] cosines = new float[positions * rotaryDims / 2];
    float[] sines = new float[cosines.length];
    for (int i = 0; i < cosines.length; i++) {
      int pair = i % (rotaryDims / 2);
      double angle = i / (rotaryDims / 2) * Math.pow(10000, -2.0 * pair / rotaryDims);
      cosines[i] = (float) (stretch * Math.cos(angle));
      sines[i] = (float) (stretch * Math.sin(angle));
    }
    return new Rope(
        style,
        floats(cosines, positions, rotaryDims / 2),
        floats(sines, positions, rotaryDims / 2));
  }

  // ---- outputs ----

  /** Returns a gapless output with a guard in front and behind. */
  Tensor output(long... dims) {
    Shape shape = Shape.of(dims);
    float[] guards = new float[Math.toIntExact(shape.elements() + 2 * 64)];
    Arrays.fill(guards, GUARD);
    Tensor parent = floats(guards, guards.length);
    Tensor view = parent.slice(0, 64, 64 + shape.elements());
    guarded.add(new Guarded(parent, view));
    return view.reshape(shape);
  }

  /** Returns an output with gaps along every axis. */
  Tensor gappedOutput(long... dims) {
    return guardedView(new float[Math.toIntExact(Shape.of(dims).elements())], dims);
  }

  /** Lays numbers into the middle of a greater tensor of guards and returns the view of them. */
  private Tensor guardedView(float[] numbers, long... dims) {
    long[] wider = dims.clone();
    for (int axis = 0; axis < dims.length; axis++) {
      wider[axis] += axis == dims.length - 1 ? INNER_GAP : 2;
    }
    float[] all = new float[Math.toIntExact(Shape.of(wider).elements())];
    Arrays.fill(all, GUARD);
    for (int i = 0; i < numbers.length; i++) {
      long rest = i;
      long at = 0;
      long stride = 1;
      for (int axis = dims.length - 1; axis >= 0; axis--) {
        at += (rest % dims[axis] + margin(axis, dims)) * stride;
        rest /= dims[axis];
        stride *= wider[axis];
      }
      all[Math.toIntExact(at)] = numbers[i];
    }
    Tensor parent = floats(all, wider);
    Tensor view = parent;
    for (int axis = 0; axis < dims.length; axis++) {
      long from = margin(axis, dims);
      view = view.slice(axis, from, from + dims[axis]);
    }
    guarded.add(new Guarded(parent, view));
    return view;
  }

  private static long margin(int axis, long[] dims) {
    return axis == dims.length - 1 ? 2 : 1;
  }

  /** Asserts that everything around every output and view is as it was. */
  void assertGuards(String message) {
    for (Guarded pair : guarded) {
      float[] inside = new float[Math.toIntExact(pair.view.shape().elements())];
      Arrays.fill(inside, GUARD);
      backend.host().copyFromHost(pair.view, inside);
      float[] all = backend.host().copyToHostFloats(pair.parent);
      for (int i = 0; i < all.length; i++) {
        assertEquals(GUARD, all[i], message + ": wrote outside of its output, at " + i);
      }
    }
  }

  /** Returns a function of 0, 1, … {@code count - 1}. */
  static float[] series(int count, IntToDoubleFunction function) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (float) function.applyAsDouble(i);
    }
    return numbers;
  }

  /** Returns the numbers of a tensor, to compare bit by bit. */
  float[] bits(Tensor tensor) {
    return backend.host().copyToHostFloats(tensor);
  }

  // ---- caches ----

  /** Returns a layer that holds so many random tokens at positions from 0 on. */
  KvLayer layer(DType dtype, int kvHeads, int tokens, int capacity, int headDim) {
    int[] capacities = new int[kvHeads];
    Arrays.fill(capacities, capacity);
    KvLayer layer = cache().allocate(scope, dtype, capacities, headDim);
    append(layer, tokens, 0);
    return layer;
  }

  /** Appends random tokens at positions from a first one on. */
  void append(KvLayer layer, int tokens, int firstPosition) {
    cache()
        .append(
            layer,
            normal(tokens, layer.kvHeads(), layer.headDim()),
            normal(tokens, layer.kvHeads(), layer.headDim()),
            ints(IntStream.range(firstPosition, firstPosition + tokens).toArray(), tokens));
  }

  /** Returns a random selection that keeps its own number of tokens in every head, perhaps none. */
  TokenSelection raggedSelection(int kvHeads, int tokens) {
    float[] mask = new float[kvHeads * tokens];
    for (int i = 0; i < mask.length; i++) {
      int head = i / tokens;
      mask[i] = head != 1 && random.nextInt(head + 2) == 0 ? 1 : 0;
    }
    return ops().selectWhere(floats(mask, kvHeads, tokens));
  }

  /** Returns all that a layer says and holds, as tensors to compare. */
  List<Tensor> contents(KvLayer layer) {
    var contents = new ArrayList<Tensor>();
    contents.add(ints(layer.tokens(), layer.kvHeads()));
    for (int h = 0; h < layer.kvHeads(); h++) {
      int from = layer.firstSlot(h);
      int to = from + layer.tokens(h);
      contents.add(layer.keys().slice(0, from, to));
      contents.add(layer.values().slice(0, from, to));
      contents.add(layer.positions().slice(0, from, to));
    }
    return contents;
  }

  /** Returns all that a selection says, as tensors to compare. */
  List<Tensor> contents(TokenSelection selection) {
    return List.of(
        ints(selection.keptTokens(), selection.kvHeads()), selection.indices().orElseThrow());
  }

  /** Calls an action for 0, 1, … {@code count - 1} from four threads and waits for all of them. */
  static void inThreads(int count, IntConsumer action) {
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        int call = i;
        calls.add(threads.submit(() -> action.accept(call)));
      }
      for (Future<?> call : calls) {
        call.get();
      }
    } catch (InterruptedException | ExecutionException e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public void close() {
    scope.close();
  }
}
