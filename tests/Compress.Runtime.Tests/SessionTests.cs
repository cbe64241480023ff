using Compress.Runtime.Model;
using Compress.Testing;

namespace Compress.Runtime.Tests;

public class SessionTests
{
    [SharedDataFact]
    public void Decoding_allocates_nothing()
    {
        using var model = RuntimeModel.Open(SharedData.At("golden", "gguf", "stories260K-q4_0.gguf"), threads: 1);
        using var session = model.NewSession(64);
        session.Forward([1, 403, 407]);
        for (var i = 0; i < 8; i++) session.Forward([261]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 20; i++) session.Forward([378]);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [SharedDataFact]
    public void Rewinding_gives_the_same_logits_again()
    {
        using var model = RuntimeModel.Open(SharedData.At("golden", "gguf", "stories260K-f32.gguf"), threads: 2);
        using var session = model.NewSession(64);
        session.Forward([1, 403, 407]);
        var first = session.Forward([261]).ToArray();
        session.Forward([378]);
        session.Rewind(3);
        Assert.Equal(first, session.Forward([261]).ToArray());
    }

    [SharedDataFact]
    public void Refuses_what_it_cannot_take()
    {
        using var model = RuntimeModel.Open(SharedData.At("golden", "gguf", "stories260K-f32.gguf"), threads: 1);
        using var session = model.NewSession(4);
        Assert.Throws<ArgumentException>(() => session.Forward([]).Length);
        Assert.Throws<ArgumentException>(() => session.Forward([512]).Length);
        Assert.Throws<ArgumentException>(() => session.Forward([1, 1, 1, 1, 1]).Length);
    }
}
