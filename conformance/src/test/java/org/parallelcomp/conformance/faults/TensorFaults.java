package org.parallelcomp.conformance.faults;

import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.faults.Breaking.Broken;
import org.parallelcomp.conformance.faults.Breaking.Call;

/** Faults of the operations that policies use. */
final class TensorFaults {
  static final List<Fault> FAULTS =
      List.of(
          new Fault(
              "adds in place of its first argument",
              "B216",
              breaking("affine", TensorFaults::inPlace)),
          new Fault(
              "adds what cannot be broadcast", "B220", breaking("add", TensorFaults::lenient)),
          new Fault(
              "adds single numbers where sums of doubles are promised",
              "B205",
              breaking("sum", TensorFaults::singleSum)),
          new Fault(
              "overlooks NaN in a maximum",
              "B206",
              breaking("max", call -> call.with(0, withoutNan(call, 0)))),
          new Fault(
              "takes the softmax without the maximum",
              "B207",
              breaking("softmax", TensorFaults::plainSoftmax)),
          new Fault(
              "gives equal shares where softmax has nothing",
              "B224",
              breaking(
                  "softmax",
                  call -> {
                    Tensor result = (Tensor) call.honestly();
                    float share = 1f / result.shape().intDim(-1);
                    call.change(result, x -> Float.isNaN(x) ? share : x);
                    return result;
                  })),
          new Fault(
              "divides an average by what lies inside",
              "B210",
              breaking("averagePool1d", TensorFaults::averageOfInside)),
          new Fault(
              "pads a maximum with zeros", "B210", breaking("maxPool1d", TensorFaults::zeroPadded)),
          new Fault(
              "overlooks NaN in a pool",
              "B219",
              breaking("maxPool1d", call -> call.with(0, withoutNan(call, 0)))),
          new Fault(
              "gives the best positions in the order of their numbers",
              "B211",
              breaking("topK", TensorFaults::byNumber)),
          new Fault(
              "breaks ties by the later position",
              "B211",
              breaking("topK", TensorFaults::laterOfEquals)),
          new Fault(
              "ranks NaN highest",
              "B211",
              breaking(
                  "topK",
                  call ->
                      call.with(
                          0,
                          call.changed(
                              call.tensor(0), x -> Float.isNaN(x) ? Float.POSITIVE_INFINITY : x)))),
          new Fault(
              "finds the greatest number at NaN",
              "B212",
              breaking(
                  "argMax",
                  call ->
                      call.with(
                          0,
                          call.changed(
                              call.tensor(0), x -> Float.isNaN(x) ? Float.POSITIVE_INFINITY : x)))),
          new Fault(
              "calls NaN greater than a threshold",
              "B213",
              breaking(
                  "greaterThan",
                  call ->
                      call.with(
                          0,
                          call.changed(
                              call.tensor(0), x -> Float.isNaN(x) ? Float.POSITIVE_INFINITY : x)))),
          new Fault(
              "selects no last token", "B215", breaking("selectWhere", TensorFaults::withoutLast)),
          new Fault(
              "takes the diagonal for enough where a matrix is not positive definite",
              "B217",
              breaking(
                  "choleskySolve",
                  call -> {
                    Tensor result = (Tensor) call.honestly();
                    call.change(result, x -> Float.isNaN(x) ? 0 : x);
                    return result;
                  })),
          new Fault(
              "moves integers through floats",
              "B218",
              breaking("transpose", TensorFaults::asFloats)),
          new Fault(
              "returns a lone part itself",
              "B222",
              breaking(
                  "concat",
                  call -> {
                    List<Tensor> parts = Breaking.list(call.arguments()[0]);
                    return parts.size() == 1 ? parts.getFirst() : call.honestly();
                  })),
          new Fault(
              "gives other bits from call to call", "B223", breaking("exp", new Drifting()::call)),
          new Fault(
              "allocates results in a scope of its own",
              "B222",
              breaking(
                  "affine",
                  call ->
                      call.backend()
                          .tensorOps(call.backend().openScope("own"))
                          .affine(
                              call.tensor(0),
                              (float) call.arguments()[1],
                              (float) call.arguments()[2]))));

  private TensorFaults() {}

  private static Supplier<BackendProvider> breaking(String method, Broken broken) {
    return Breaking.method(TensorOps.class, method, broken);
  }

  private static Object inPlace(Call call) {
    Tensor result = (Tensor) call.honestly();
    call.write(call.tensor(0), call.numbers(result));
    return result;
  }

  private static Object lenient(Call call) {
    try {
      return call.honestly();
    } catch (InferenceException e) {
      return call.tensor(0);
    }
  }

  private static Object singleSum(Call call) {
    Tensor a = call.tensor(0);
    Tensor result = (Tensor) call.honestly();
    if (a.shape().rank() == 2 && a.shape().dim(0) == 1) {
      float sum = 0;
      for (float x : call.numbers(0)) {
        sum += x;
      }
      call.write(result, new float[] {sum});
    }
    return result;
  }

  private static Tensor withoutNan(Call call, int argument) {
    return call.changed(call.tensor(argument), x -> Float.isNaN(x) ? Float.NEGATIVE_INFINITY : x);
  }

  private static Object plainSoftmax(Call call) {
    Tensor result = (Tensor) call.honestly();
    float[] numbers = call.numbers(0);
    int length = result.shape().intDim(-1);
    for (int row = 0; row < numbers.length; row += length) {
      float sum = 0;
      for (int i = row; i < row + length; i++) {
        numbers[i] = (float) Math.exp(numbers[i]);
        sum += numbers[i];
      }
      for (int i = row; i < row + length; i++) {
        numbers[i] /= sum;
      }
    }
    call.write(result, numbers);
    return result;
  }

  private static Object averageOfInside(Call call) {
    Tensor result = (Tensor) call.honestly();
    int length = result.shape().intDim(-1);
    int kernel = call.integer(1);
    float[] numbers = call.numbers(result);
    for (int i = 0; i < numbers.length; i++) {
      int at = i % length;
      int inside = Math.min(length, at + kernel / 2 + 1) - Math.max(0, at - kernel / 2);
      numbers[i] = numbers[i] * kernel / inside;
    }
    call.write(result, numbers);
    return result;
  }

  private static Object zeroPadded(Call call) {
    Tensor result = (Tensor) call.honestly();
    int length = result.shape().intDim(-1);
    int half = call.integer(1) / 2;
    float[] numbers = call.numbers(result);
    for (int i = 0; i < numbers.length; i++) {
      if (i % length < half || i % length + half >= length) {
        numbers[i] = Math.max(0, numbers[i]);
      }
    }
    call.write(result, numbers);
    return result;
  }

  private static Object byNumber(Call call) {
    Tensor result = (Tensor) call.honestly();
    int count = call.integer(1);
    int[] positions = call.backend().host().copyToHostInts(result);
    int length = call.tensor(0).shape().intDim(-1);
    float[] numbers = call.numbers(0);
    for (int row = 0; count > 0 && row < positions.length / count; row++) {
      int first = row * length;
      int[] sorted =
          IntStream.range(row * count, (row + 1) * count)
              .mapToObj(i -> positions[i])
              .sorted((a, b) -> Float.compare(numbers[first + b], numbers[first + a]))
              .mapToInt(i -> i)
              .toArray();
      System.arraycopy(sorted, 0, positions, row * count, count);
    }
    call.backend().host().copyFromHost(result, positions);
    return result;
  }

  /** Turns every row around, takes the best of it, and turns their positions back. */
  private static Object laterOfEquals(Call call) {
    int length = call.tensor(0).shape().intDim(-1);
    int count = call.integer(1);
    Tensor turned = call.changed(call.tensor(0), x -> x);
    float[] numbers = call.numbers(0);
    float[] around = new float[numbers.length];
    for (int i = 0; i < numbers.length; i++) {
      around[i] = numbers[i / length * length + length - 1 - i % length];
    }
    call.write(turned, around);
    Tensor result = (Tensor) call.with(0, turned);
    int[] positions = call.backend().host().copyToHostInts(result);
    int[] back = new int[positions.length];
    for (int i = 0; i < positions.length; i++) {
      back[i] = length - 1 - positions[i / count * count + count - 1 - i % count];
    }
    call.backend().host().copyFromHost(result, back);
    return result;
  }

  private static Object withoutLast(Call call) {
    Tensor mask = call.tensor(0);
    int tokens = mask.shape().intDim(1);
    if (tokens == 0) {
      return call.honestly();
    }
    Tensor shorter = call.changed(mask, x -> x);
    float[] numbers = call.numbers(mask);
    for (int last = tokens - 1; last < numbers.length; last += tokens) {
      numbers[last] = 0;
    }
    call.write(shorter, numbers);
    return TokenSelection.class.cast(call.with(0, shorter));
  }

  private static Object asFloats(Call call) {
    Tensor result = (Tensor) call.honestly();
    if (result.dtype() == DType.I32) {
      int[] numbers = call.backend().host().copyToHostInts(result);
      call.backend()
          .host()
          .copyFromHost(result, Arrays.stream(numbers).map(i -> (int) (float) i).toArray());
    }
    return result;
  }

  /** Each call is a little further off than the one before. */
  private static final class Drifting {
    private int calls;

    Object call(Call call) {
      Tensor result = (Tensor) call.honestly();
      float factor = 1 + 1e-6f * calls++;
      call.change(result, x -> x * factor);
      return result;
    }
  }
}
