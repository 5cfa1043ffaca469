package org.parallelcomp.engine.wire;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import jakarta.inject.Singleton;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.generate.Generator;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.DecoderWeights;
import org.parallelcomp.engine.registry.BackendRegistry;
import org.parallelcomp.engine.registry.PolicyRegistry;
import org.parallelcomp.engine.text.PromptBuilder;
import org.parallelcomp.engine.text.TextTokenizer;

/** What an engine is made of, from its configuration on. */
final class EngineModule extends AbstractModule {
  private final EngineConfig config;
  private final OpenResources resources;

  EngineModule(EngineConfig config, OpenResources resources) {
    this.config = config;
    this.resources = resources;
  }

  @Override
  protected void configure() {
    binder().requireExplicitBindings();
    binder().requireAtInjectOnConstructors();
    binder().requireExactBindingAnnotations();
    binder().disableCircularProxies();
  }

  @Provides
  @Singleton
  ModelSource modelSource() {
    return ModelFiles.open(config.model());
  }

  @Provides
  @Singleton
  PolicyCatalog policyCatalog() {
    return PolicyRegistry.discover(config.plugins());
  }

  @Provides
  @Singleton
  Backend backend() {
    return resources.own(
        BackendRegistry.discover()
            .open(config.backend(), new BackendConfig(config.threads(), config.backendOptions())));
  }

  @Provides
  @Singleton
  MemoryScope modelScope(Backend backend) {
    return resources.own(backend.openScope("model"));
  }

  @Provides
  @Singleton
  DecoderWeights decoderWeights(Backend backend, MemoryScope modelScope, ModelSource source) {
    return DecoderWeights.load(backend, modelScope, source);
  }

  @Provides
  @Singleton
  TextTokenizer textTokenizer(ModelSource source) {
    return resources.own(new TextTokenizer(source.tokenizer()));
  }

  @Provides
  @Singleton
  PromptBuilder promptBuilder(TextTokenizer tokenizer) {
    return new PromptBuilder(tokenizer);
  }

  @Provides
  @Singleton
  Generator generator(
      Backend backend,
      ModelSource source,
      DecoderWeights weights,
      TextTokenizer tokenizer,
      PromptBuilder promptBuilder,
      PolicyCatalog catalog,
      MemoryScope modelScope) {
    return new Generator(backend, source, weights, tokenizer, promptBuilder, catalog, modelScope);
  }
}
