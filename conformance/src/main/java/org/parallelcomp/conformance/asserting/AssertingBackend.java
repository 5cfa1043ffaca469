package org.parallelcomp.conformance.asserting;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.AttentionOps;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.backend.BackendTraits;
import org.parallelcomp.api.backend.CacheOps;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.HostTransfer;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * A backend in front of another. Its tensors, scopes and caches stand for those of the real one;
 * arguments are exchanged on the way in, results on the way out, and both are checked.
 */
final class AssertingBackend implements Backend {
  private final Backend real;
  private final CallChecks checks;
  private final CallsAtOnce calls = new CallsAtOnce();
  private final Set<AssertingScope> openScopes = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  AssertingBackend(Backend real) {
    this.real = real;
    this.checks = new CallChecks(real);
  }

  boolean isClosed() {
    return closed;
  }

  CallsAtOnce calls() {
    return calls;
  }

  /** Forgets a scope that its owner has closed. */
  void closed(AssertingScope scope) {
    openScopes.remove(scope);
  }

  @Override
  public BackendInfo info() {
    return real.info();
  }

  @Override
  public BackendTraits traits() {
    return real.traits();
  }

  @Override
  public boolean supports(OpCall call) {
    return real.supports(call);
  }

  @Override
  public MemoryScope openScope(String name) {
    Contract.require(!closed, () -> "opens the scope " + name + " of a closed backend");
    var scope = new AssertingScope(name, real.openScope(name), null, this);
    openScopes.add(scope);
    return scope;
  }

  @Override
  public Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    AssertingScope owner = owner(scope);
    Tensor tensor = real.load(owner.real(), region, dtype, shape);
    Contract.require(
        tensor.dtype() == dtype && tensor.shape().equals(shape),
        () -> "loaded " + tensor.dtype() + tensor.shape() + " for " + dtype + shape);
    return owner.adopt(tensor);
  }

  private AssertingScope owner(MemoryScope scope) {
    Contract.require(
        scope instanceof AssertingScope own && own.backend() == this && !own.isClosed(),
        () -> "the scope " + scope + " is closed or another backend's");
    return (AssertingScope) scope;
  }

  @Override
  public HostTransfer host() {
    return family(HostTransfer.class, real.host(), null);
  }

  @Override
  public TensorOps tensorOps(MemoryScope results) {
    AssertingScope owner = owner(results);
    return family(TensorOps.class, real.tensorOps(owner.real()), owner);
  }

  @Override
  public DecoderOps decoder() {
    return family(DecoderOps.class, real.decoder(), null);
  }

  @Override
  public AttentionOps attention() {
    return family(AttentionOps.class, real.attention(), null);
  }

  @Override
  public CacheOps cache() {
    return family(CacheOps.class, real.cache(), null);
  }

  @Override
  public void attendAndFeedForward(
      Tensor hidden,
      @Nullable Tensor logSumExp,
      Tensor queries,
      float scale,
      List<AttendSequence> sequences,
      AttentionBlock attention,
      FeedForwardBlock feedForward,
      Scratch scratch) {
    family(Backend.class, real, null)
        .attendAndFeedForward(
            hidden, logSumExp, queries, scale, sequences, attention, feedForward, scratch);
  }

  @Override
  public void close() {
    boolean first = !closed;
    closed = true;
    real.close();
    Contract.require(
        !first || openScopes.isEmpty(),
        () -> "the backend is closed before the scopes " + openScopes);
  }

  /**
   * Returns a family of operations that exchanges and checks.
   *
   * @param results where results live, or null for families that write to their arguments
   */
  private <T> T family(Class<T> type, T operations, @Nullable AssertingScope results) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) ->
                method.getDeclaringClass() == Object.class
                    ? method.invoke(this, arguments)
                    : call(operations, method, arguments, results)));
  }

  private @Nullable Object call(
      Object operations, Method method, Object @Nullable [] given, @Nullable AssertingScope results)
      throws Throwable {
    Object[] arguments = given == null ? new Object[0] : given;
    try (var exchange = new Exchange(this, real);
        var _ = calls.begin(method, arguments)) {
      Object[] exchanged = Arrays.stream(arguments).map(exchange::inwards).toArray();
      checks.before(method, arguments);
      Object result;
      try {
        result = method.invoke(operations, exchanged);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
      exchange.updateLayers();
      checks.after(method, arguments, exchanged, result);
      return switch (result) {
        case Tensor tensor -> adopt(results, arguments).adopt(tensor);
        case TokenSelection selection -> outwards(selection, adopt(results, arguments));
        case KvLayer layer -> outwards(layer, adopt(results, arguments));
        case null, default -> result;
      };
    }
  }

  /** The scope of results: that of the family, or the one given as the first argument. */
  private AssertingScope adopt(@Nullable AssertingScope results, Object[] arguments) {
    return results == null ? owner((MemoryScope) arguments[0]) : results;
  }

  private static TokenSelection outwards(TokenSelection selection, AssertingScope scope) {
    return selection
        .indices()
        .map(
            indices ->
                TokenSelection.of(selection.tokens(), selection.keptTokens(), scope.adopt(indices)))
        .orElse(selection);
  }

  private static KvLayer outwards(KvLayer layer, AssertingScope scope) {
    int[] capacities = new int[layer.kvHeads()];
    Arrays.setAll(capacities, layer::capacity);
    var outer =
        new KvLayer(
            scope.adopt(layer.keys()),
            scope.adopt(layer.values()),
            scope.adopt(layer.positions()),
            capacities);
    for (int h = 0; h < capacities.length; h++) {
      outer.setTokens(h, layer.tokens(h));
    }
    return outer;
  }
}
