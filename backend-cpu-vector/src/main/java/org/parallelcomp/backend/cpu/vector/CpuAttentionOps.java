package org.parallelcomp.backend.cpu.vector;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Arguments;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.AttentionGroup;
import org.parallelcomp.backend.cpu.vector.simd.Heads;
import org.parallelcomp.backend.cpu.vector.simd.KeyValues;
import org.parallelcomp.backend.cpu.vector.simd.MassAttention;
import org.parallelcomp.backend.cpu.vector.simd.TiledAttention;
import org.parallelcomp.backend.host.AttentionParts;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;
import org.parallelcomp.backend.host.Rows;

/** Attention: cuts the work into groups of query heads that share a kv head. */
final class CpuAttentionOps implements AttentionOps {
  private final CpuKernels kernels;
  private final HostMemory memory;

  CpuAttentionOps(CpuKernels kernels) {
    this.kernels = kernels;
    this.memory = kernels.memory;
  }

  @Override
  public void attend(
      Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences) {
    Arguments.requireAttend(out, logSumExp, queries, sequences);
    kernels.alone(
        () -> {
          List<AttentionGroup> many = new ArrayList<>();
          List<AttentionGroup> few = new ArrayList<>();
          for (AttendSequence sequence : sequences) {
            for (AttentionGroup group : groups(out, logSumExp, queries, scale, sequence)) {
              boolean tiled = group.rows() * group.group() >= TiledAttention.FEWEST_QUERIES;
              (tiled ? many : few).add(group);
            }
          }
          if (!many.isEmpty()) {
            kernels.tiledAttention.attend(many);
          }
          if (!few.isEmpty()) {
            kernels.rowAttention.attend(few);
          }
        });
  }

  private List<AttentionGroup> groups(
      @Nullable Tensor out,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      AttendSequence sequence) {
    KvLayer layer = sequence.layer();
    int queryHeads = queries.shape().intDim(1);
    int group = queryHeads / layer.kvHeads();
    Heads queryRows = heads(queries);
    Heads outRows = out == null ? queryRows : heads(out);
    Rows sums = logSumExp == null ? null : memory.floats(logSumExp).gapless("logSumExp");
    MemorySegment sumStorage = sums == null ? null : sums.storage();
    long firstSum = sums == null ? 0 : sums.byteOf(0);
    long headStride = sums == null || sums.count() < 2 ? 0 : sums.byteOf(1) - firstSum;
    List<AttentionGroup> groups = new ArrayList<>(layer.kvHeads());
    for (int head = 0; head < layer.kvHeads(); head++) {
      groups.add(
          new AttentionGroup(
              outRows,
              sumStorage,
              firstSum,
              headStride,
              queryRows,
              head * group,
              group,
              sequence.firstRow(),
              sequence.rows(),
              keyValues(memory, layer, head),
              sequence.fromToken()[head],
              sequence.toToken()[head],
              sequence.causal(),
              scale));
    }
    return groups;
  }

  private Heads heads(Tensor tensor) {
    Rows rows = memory.floats(tensor).gapless("a head");
    HostTensor cpu = memory.tensor(tensor);
    return new Heads(
        rows.storage(),
        cpu.startByte(),
        cpu.strideBytes(0),
        cpu.strideBytes(1),
        tensor.shape().intDim(2));
  }

  static KeyValues keyValues(HostMemory memory, KvLayer layer, int head) {
    HostTensor keys = memory.tensor(layer.keys());
    HostTensor values = memory.tensor(layer.values());
    long firstNumber = (long) layer.firstSlot(head) * layer.headDim();
    return new KeyValues(
        keys.storage(),
        keys.startByte() + keys.dtype().bytes(firstNumber),
        values.storage(),
        values.startByte() + values.dtype().bytes(firstNumber),
        keys.dtype(),
        layer.headDim());
  }

  @Override
  public void mergePartial(
      Tensor out,
      @Nullable Tensor logSumExp,
      List<Tensor> partialOuts,
      List<Tensor> partialLogSumExps) {
    Arguments.requireMergePartial(out, logSumExp, partialOuts, partialLogSumExps);
    kernels.alone(
        () ->
            kernels.forRows(
                out.shape().intDim(0),
                (first, end, worker) ->
                    AttentionParts.merge(
                        memory,
                        out,
                        logSumExp,
                        partialOuts,
                        partialLogSumExps,
                        (int) first,
                        (int) end)));
  }

  @Override
  public void attentionMass(
      Tensor mass,
      Tensor queries,
      Tensor logSumExp,
      float scale,
      AttendSequence sequence,
      int windowQueries,
      int fromToken,
      int toToken,
      HeadReduction reduction) {
    Arguments.requireAttentionMass(
        mass, queries, logSumExp, sequence, windowQueries, fromToken, toToken, reduction);
    Rows to = memory.floats(mass).gapless("mass");
    List<AttentionGroup> groups = groups(null, logSumExp, queries, scale, sequence);
    int group = groups.getFirst().group();
    kernels.alone(
        () ->
            kernels.massAttention.sum(
                groups,
                windowQueries,
                fromToken,
                toToken,
                (index, key, keys, sums) -> {
                  int at = key - fromToken;
                  if (reduction == HeadReduction.NONE) {
                    for (int head = 0; head < group; head++) {
                      int from = head * MassAttention.KEYS;
                      to.writePart((long) index * group + head, at, keys, sums, from);
                    }
                  } else {
                    AttentionParts.reduce(sums, group, MassAttention.KEYS, keys, reduction);
                    to.writePart(index, at, keys, sums, 0);
                  }
                }));
  }
}
