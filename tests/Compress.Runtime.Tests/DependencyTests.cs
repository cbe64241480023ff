using System.Reflection;
using Compress.Runtime.Model;

namespace Compress.Runtime.Tests;

public class DependencyTests
{
    [Fact]
    public void The_engine_and_what_it_references_know_no_torch()
    {
        var seen = new HashSet<string>();
        var open = new Stack<Assembly>([typeof(RuntimeModel).Assembly]);
        while (open.TryPop(out var assembly))
        {
            foreach (var reference in assembly.GetReferencedAssemblies())
            {
                Assert.DoesNotContain("Torch", reference.Name!, StringComparison.OrdinalIgnoreCase);
                Assert.NotEqual("Compress.Core", reference.Name);
                if (reference.Name!.StartsWith("Compress.", StringComparison.Ordinal) && seen.Add(reference.Name)) open.Push(Assembly.Load(reference));
            }
        }
        Assert.Contains("Compress.Formats", seen);
    }
}
