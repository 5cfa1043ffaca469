package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.engine.PolicyCatalog;
import picocli.CommandLine;

/** The short options name parameters that the policies of the default preset really have. */
class ShortcutsTest {
  @Test
  void everyShortOptionFitsTheDefaultPreset() {
    PolicyCatalog catalog = new RealEngine().policies();
    var options = new PlanOptions();
    CommandLine.populateCommand(
        options,
        "--chunk-tokens=301",
        "--keep-chunks=3",
        "--keep-tokens=65",
        "--window=17",
        "--pool=9");

    Plan plan = options.changes(catalog).apply(catalog.preset(PlanOptions.DEFAULT_PRESET).plan());

    assertEquals("301", plan.policy(PolicyKind.CHUNKING).parameters().get("tokens"));
    assertEquals("3", plan.policy(PolicyKind.CHUNK_EVICTION).parameters().get("chunks"));
    assertEquals("tokens(keep=65)", plan.policy(PolicyKind.BUDGET).toString());
    assertEquals("17", plan.policy(PolicyKind.TOKEN_SCORER).parameters().get("window"));
    assertEquals("9", plan.policy(PolicyKind.TOKEN_SCORER).parameters().get("pool"));
  }
}
