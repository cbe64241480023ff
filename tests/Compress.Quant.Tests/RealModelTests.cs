using Compress.Contract;
using Compress.Quant.Methods;
using Compress.Testing;

namespace Compress.Quant.Tests;

public class RealModelTests
{
    [SharedDataFact]
    public void Gptq_stays_closer_to_a_language_model_than_rounding()
    {
        var original = StoriesModel.Loss(null);
        // The published loss of this model is 1.29 on stories of one kind; these windows run across stories.
        Assert.InRange(original, 1.1, 1.8);
        foreach (var bits in new[] { 3, 4 })
        {
            var rtn = StoriesModel.Loss(new Rtn(new() { Bits = bits, GroupSize = 32 }));
            foreach (var activationOrder in new[] { false, true })
            {
                var gptq = StoriesModel.Loss(new Gptq(new() { Bits = bits, GroupSize = 32, ActivationOrder = activationOrder }));
                Assert.InRange(gptq, original, original + (rtn - original) * 0.9);
            }
        }
    }
}
