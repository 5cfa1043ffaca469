package org.parallelcomp.engine.wire;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.generate.Generator;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.LoadedModel;
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

  /** The model on every device. */
  @Provides
  @Singleton
  List<LoadedModel> models(ModelSource source) {
    BackendRegistry registry = BackendRegistry.discover();
    var backends = new ArrayList<Backend>();
    for (Map<String, String> options : config.optionsOfDevices()) {
      backends.add(
          resources.own(
              registry.open(config.backend(), new BackendConfig(config.threads(), options))));
    }
    return backends.stream()
        .map(
            backend -> LoadedModel.load(backend, resources.own(backend.openScope("model")), source))
        .toList();
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
      List<LoadedModel> models,
      ModelSource source,
      TextTokenizer tokenizer,
      PromptBuilder promptBuilder,
      PolicyCatalog catalog) {
    return new Generator(models, source, tokenizer, promptBuilder, catalog);
  }
}
