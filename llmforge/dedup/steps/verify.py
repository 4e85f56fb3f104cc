"""Step 4, verify: compare candidates with the documents that stay, and decide what becomes of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.config.dedup import MinHashSection
from llmforge.dedup.ids import read_ids
from llmforge.dedup.lsh import unique_pairs
from llmforge.dedup.shingle_sets import ShingleSets
from llmforge.dedup.steps.cluster import tables
from llmforge.dedup.tables import DECISION, NODE, PAIR, Rows, read_ranges, read_table, shard_range, write_table
from llmforge.dedup.verify import Links, Method, Verdicts, choose_keepers, containment, jaccard
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.records import read_records, sum_counts
from llmforge.pipeline.stage import Context, Plan, Shard


class VerifyStep:
    """What becomes of every document that has a candidate, a set of whole components at a time."""

    name = "verify"

    def plan(self, context: Context) -> Plan:
        """One shard a partition of the components."""
        return Plan(
            tuple(
                Shard(index, f"components {path.stem}", {}, path.stat().st_size)
                for index, path in enumerate(tables(context, "nodes", "cluster"))
            )
        )

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write a decision for every document of the partition, sorted by location."""
        counts = Counts()
        folder = context.scratch("cluster")
        nodes = read_table(folder / f"{shard.stem}.nodes", NODE)
        nodes = nodes[np.unique(nodes["location"], return_index=True)[1]]
        near, exact, urls = (read_table(folder / f"{shard.stem}.{kind}", PAIR) for kind in ("near", "exact", "urls"))
        near = unique_pairs(near)
        minhash = context.settings.dedup.minhash or MinHashSection()
        measure = jaccard if minhash.verify_containment is None else containment
        with ShingleSets(context.scratch("sign")) as shingles:
            links = Links(near, exact, urls)
            verdicts = choose_keepers(nodes, links, shingles.of, minhash.min_similarity, measure)
        decisions = _decide(verdicts)
        decisions["component"] = _first_members(nodes, read_ids(context, nodes["location"]))
        write_table(context.output(f"work/verify/{shard.stem}.decisions"), decisions)
        counts.measures.update(
            candidate_pairs=len(near),
            compared_pairs=verdicts.num_compared,
            unlike_pairs=verdicts.num_unlike,
            candidate_components=len(np.unique(nodes["component"])),
            clusters=int(np.count_nonzero(decisions["cluster_size"] > 1)),
        )
        return counts

    def finish(self, context: Context) -> dict[str, Any]:
        """Candidate pairs, how many were compared with a kept document, and how many of these were too unlike."""
        measures = sum_counts(read_records(context.scratch(self.name) / "records")).measures
        names = ("candidate_pairs", "compared_pairs", "unlike_pairs", "candidate_components", "clusters")
        return {name: measures[name] for name in names}


def read_decisions(shard: Shard, context: Context) -> Rows:
    """What was decided of the documents of an input shard that had candidates, in the order of the rows."""
    paths = tables(context, "decisions", "verify")
    decisions = read_ranges(paths, DECISION, *shard_range(shard.index), "location")
    return decisions[decisions["location"].argsort()]


def removed_locations(shard: Shard, context: Context) -> NDArray[np.uint64]:
    """Where the documents of an input shard stand that go."""
    decisions = read_decisions(shard, context)
    removed: NDArray[np.uint64] = decisions["location"][decisions["method"] != Method.KEPT]
    return removed


def _decide(verdicts: Verdicts) -> Rows:
    """Decisions sorted by location, without components."""
    documents = verdicts.documents
    decisions = np.zeros(len(documents), dtype=DECISION)
    decisions["location"] = documents["location"]
    decisions["keeper"] = documents["location"][verdicts.keepers]
    decisions["similarity"] = verdicts.similarities
    decisions["method"] = verdicts.methods
    decisions["cluster_size"] = np.bincount(verdicts.keepers, minlength=len(documents))
    return decisions[np.argsort(documents["location"])]


def _first_members(nodes: Rows, ids: list[bytes]) -> NDArray[np.uint64]:
    """For each node the location of the member of its component with the smallest id."""
    ranks = np.argsort(np.argsort(np.array(ids), kind="stable"), kind="stable")
    order = np.lexsort([ranks, nodes["component"]])
    components = nodes["component"][order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = components[1:] != components[:-1]
    group = np.cumsum(is_first) - 1
    members = np.empty(len(nodes), dtype=np.uint64)
    members[order] = nodes["location"][order[np.flatnonzero(is_first)]][group]
    return members
