using System.Text.Json.Nodes;
using Compress.Core.Tests.Graph.Naive;
using Compress.Formats.Architectures;

namespace Compress.Core.Tests.Graph;

public class LlamaGraphTests
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];

    public static TheoryData<string> Variants => new()
    {
        "{}",
        """{"num_key_value_heads": 1, "tie_word_embeddings": false}""",
        """{"attention_bias": true, "mlp_bias": true, "head_dim": 6}""",
        """{"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "rope_theta": 500.0}""",
        """
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 64}, "rope_theta": 5000.0, "head_dim": 16}
        """,
        """{"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}}""",
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public void Logits_equal_a_naive_forward(string changes)
    {
        var model = Model(changes);
        using var tensors = MemoryTensors.Random(model.Spec, 1);
        var expected = NaiveLlama.Logits(new NaiveCheckpoint(model.Config, tensors.Values), Ids);
        Compare.Graph(expected, tensors, model.Spec, Ids);
    }

    internal static SyntheticModel Model(string changes)
    {
        var config = SyntheticModel.Llama(hidden: 32, mlp: 40, layers: 2, heads: 4, keyValueHeads: 2, vocabulary: 11).Config;
        foreach (var (key, value) in JsonNode.Parse(changes)!.AsObject()) config[key] = value?.DeepClone();
        return SyntheticModel.FromConfig(config);
    }
}
