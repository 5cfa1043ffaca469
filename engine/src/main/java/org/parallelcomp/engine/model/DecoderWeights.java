package org.parallelcomp.engine.model;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.load.ModelConfig;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.load.WeightEntry;

/**
 * The weights of a decoder as a backend holds them.
 *
 * @param embedding {@code [vocab, hiddenDim]}
 * @param attention one block per layer
 * @param feedForward one block per layer
 * @param outputNorm {@code [hiddenDim]}
 * @param output {@code [vocab, hiddenDim]}; the embedding where the model ties the two
 */
public record DecoderWeights(
    Tensor embedding,
    List<AttentionBlock> attention,
    List<FeedForwardBlock> feedForward,
    Tensor outputNorm,
    Tensor output) {

  /**
   * Loads the weights of a model; a name that the model lacks is a null component.
   *
   * @param scope owner of what is mapped or uploaded
   * @throws InferenceException UNSUPPORTED_OPERATION naming everything that the backend lacks
   */
  public static DecoderWeights load(Backend backend, MemoryScope scope, ModelSource source) {
    requireSupport(backend, source);
    var loader = new Loader(backend, scope, source);
    ModelConfig config = source.config();
    var attention = new ArrayList<AttentionBlock>();
    var feedForward = new ArrayList<FeedForwardBlock>();
    for (int layer = 0; layer < config.layers(); layer++) {
      String block = "blk." + layer + ".";
      attention.add(
          new AttentionBlock(
              loader.vector(block + "attn_norm.weight"),
              loader.weight(block + "attn_q.weight"),
              loader.optional(block + "attn_q.bias"),
              loader.weight(block + "attn_k.weight"),
              loader.optional(block + "attn_k.bias"),
              loader.weight(block + "attn_v.weight"),
              loader.optional(block + "attn_v.bias"),
              loader.optional(block + "attn_q_norm.weight"),
              loader.optional(block + "attn_k_norm.weight"),
              loader.weight(block + "attn_output.weight"),
              loader.optional(block + "attn_output.bias"),
              config.rmsEpsilon()));
      feedForward.add(
          new FeedForwardBlock(
              loader.vector(block + "ffn_norm.weight"),
              loader.weight(block + "ffn_gate.weight"),
              loader.weight(block + "ffn_up.weight"),
              loader.weight(block + "ffn_down.weight"),
              config.rmsEpsilon()));
    }
    Tensor embedding = loader.weight("token_embd.weight");
    Tensor output =
        source.weights().containsKey("output.weight") ? loader.weight("output.weight") : embedding;
    return new DecoderWeights(
        embedding,
        List.copyOf(attention),
        List.copyOf(feedForward),
        loader.vector("output_norm.weight"),
        output);
  }

  private static void requireSupport(Backend backend, ModelSource source) {
    ModelConfig config = source.config();
    var calls = new ArrayList<OpCall>();
    source
        .weights()
        .forEach(
            (name, entry) -> {
              if (entry.shape().rank() == 2) {
                Operation operation =
                    name.equals("token_embd.weight") ? Operation.EMBED : Operation.LINEAR;
                calls.add(new OpCall(operation, List.of(entry.dtype()), List.of(entry.shape())));
              }
            });
    Shape heads = Shape.of(config.queryHeads(), config.kvHeads(), config.headDim());
    DType cacheType = backend.traits().cacheType();
    calls.add(new OpCall(Operation.ATTEND, List.of(cacheType), List.of(heads)));
    calls.add(
        new OpCall(
            Operation.ROPE, List.of(), List.of(Shape.of(config.queryHeads(), config.headDim()))));
    calls.add(
        new OpCall(
            Operation.CACHE,
            List.of(cacheType),
            List.of(Shape.of(config.kvHeads(), config.headDim()))));
    var missing = new TreeSet<String>();
    for (OpCall call : calls) {
      if (!backend.supports(call)) {
        missing.add(call.operation() + " " + call.dtypes() + " " + call.shapes());
      }
    }
    if (!missing.isEmpty()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "Backend "
              + backend.info().id()
              + " cannot run this model; it lacks: "
              + String.join("; ", missing)
              + ".");
    }
  }

  private record Loader(Backend backend, MemoryScope scope, ModelSource source) {
    Tensor weight(String name) {
      WeightEntry entry = source.weights().get(name);
      if (entry == null) {
        throw new InferenceException(
            ErrorCode.CORRUPT_FILE, source.path() + " lacks the weight " + name + ".");
      }
      return backend.load(scope, entry.region(), entry.dtype(), entry.shape());
    }

    @Nullable Tensor optional(String name) {
      return source.weights().containsKey(name) ? vector(name) : null;
    }

    /** Norms and biases are read as F32, whatever the file holds; they are too small to matter. */
    Tensor vector(String name) {
      Tensor stored = weight(name);
      if (stored.dtype() == DType.F32) {
        return stored;
      }
      Tensor vector = scope.allocate(DType.F32, stored.shape());
      backend.host().copyFromHost(vector, backend.host().copyToHostFloats(stored));
      return vector;
    }
  }
}
